#pragma once

// Byte-pair encoding of one piece: the pair of lowest rank is merged first, of equal pairs the leftmost.

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "model/tokenizer/json/definition.h"

namespace atoll::model {

// Immutable; any thread may call it.
class Bpe {
 public:
  // `definition` outlives the encoder.
  explicit Bpe(const TokenizerDefinition& definition);

  // Appends the ids of `piece`. O(n log n) in its bytes.
  void Encode(std::string_view piece, std::vector<int32_t>& ids) const;

 private:
  struct Symbols;

  uint32_t RankOf(int32_t left, int32_t right) const;  // kNoRank where the pair is not merged
  void EncodeShort(std::string_view piece, std::vector<int32_t>& ids) const;
  void EncodeLong(std::string_view piece, std::vector<int32_t>& ids) const;

  const TokenizerDefinition& definition_;
  absl::flat_hash_map<uint64_t, uint32_t> ranks_;  // by left << 32 | right
  // Tokens that the merges make of their own bytes: most pieces of real text are one, and need no merging then.
  absl::flat_hash_map<std::string_view, int32_t> whole_tokens_;
};

}  // namespace atoll::model
