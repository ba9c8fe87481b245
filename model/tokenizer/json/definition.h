#pragma once

// A checked tokenizer.json as plain data.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace atoll::model {

struct AddedToken {
  int32_t id;
  std::string content;
  bool special;
  bool normalized;  // matched after the tokens that are not, inside what those left over
};

struct Merge {
  int32_t left;
  int32_t right;
  int32_t result;
};

struct TokenizerDefinition {
  std::vector<std::string> token_bytes;  // by id, without gaps; an added token's bytes are its content
  std::vector<Merge> merges;             // lowest rank first; no pair twice
  std::vector<AddedToken> added_tokens;  // ascending ids; none holds the content of another
  std::array<int32_t, 256> byte_ids;     // token of each single byte
};

}  // namespace atoll::model
