#pragma once

// Finds added tokens in raw text: leftmost, and of those that begin at one place the longest.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/json/definition.h"

namespace atoll::model {

// Immutable; any thread may call it.
class AddedTokenMatcher {
 public:
  // Those of `tokens` whose flag `normalized` is as given: Hugging Face looks for the two kinds one after the other.
  AddedTokenMatcher(const std::vector<AddedToken>& tokens, bool normalized);

  struct Match {
    size_t begin;
    size_t length;
    int32_t id;
  };

  // The first match at or after `from`. Every byte is looked at as often as the longest token is long, at worst.
  std::optional<Match> Find(std::string_view text, size_t from) const;

 private:
  struct Entry {
    std::string content;
    int32_t id;
  };

  std::optional<Match> LongestAt(std::string_view text, size_t begin) const;

  std::vector<Entry> entries_;          // ascending by content
  std::array<bool, 256> begins_{};      // whether a token begins with the byte
};

}  // namespace atoll::model
