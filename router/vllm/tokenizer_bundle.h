#pragma once

// The files by which a gateway tokenizes as this router does, in one archive.

#include <string>

#include "base/status.h"

namespace atoll::router {

struct TokenizerBundle {
  std::string archive;  // a zip
  std::string sha256;   // of it, lower-case hexadecimal
};

// tokenizer.json and, where they are there, tokenizer_config.json, chat_template.jinja, config.json and generation_config.json.
// UNIMPLEMENTED where the folder has no tokenizer.json.
absl::StatusOr<TokenizerBundle> MakeTokenizerBundle(const std::string& directory);

}  // namespace atoll::router
