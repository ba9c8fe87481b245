#pragma once

// Cuts a template into raw text and the tokens of its tags, with the whitespace rules that Hugging Face renders with:
// trim_blocks and lstrip_blocks on, "-" and "+" at a tag's ends, one line break at the end of the file dropped.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace atoll::model::jinja {

struct Token {
  enum class Kind { kText, kPrintBegin, kPrintEnd, kBlockBegin, kBlockEnd, kName, kString, kInteger, kOperator, kEnd };
  Kind kind;
  std::string text;  // raw text, name, digits, operator, or a string with its escapes resolved
  size_t offset;     // in the template, for messages
};

// The last token is kEnd. INVALID_ARGUMENT: a tag or string that does not end, a character or escape that is not known.
absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace atoll::model::jinja
