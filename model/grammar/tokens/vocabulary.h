#pragma once

// A model's tokens as constraints see them: ordinary ones are bytes, added ones (control tokens) stand for themselves and never for their text.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "model/grammar/grammar.h"
#include "model/grammar/tokens/token_trie.h"
#include "model/tokenizer/tokenizer.h"

namespace atoll::model::grammar {

// Bit id % 64 of word id / 64.
using TokenMask = std::vector<uint64_t>;

inline void SetToken(int32_t id, TokenMask& mask) { mask[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64); }
inline bool HasToken(int32_t id, const TokenMask& mask) { return (mask[static_cast<size_t>(id) / 64] >> (id % 64) & 1) != 0; }

struct TokenList {
  std::vector<std::string> bytes;                         // by id; empty: no ordinary token
  std::unordered_map<std::string, int32_t> control_ids;  // by content
};
TokenList TokensOf(const Tokenizer& tokenizer);

// Immutable; any thread may use it.
class Vocabulary {
 public:
  // FAILED_PRECONDITION unless every byte of ASCII text is a token: a constraint could come to a place where no token goes on.
  static absl::StatusOr<Vocabulary> Make(TokenList tokens);

  // Words of a mask over all ids; rows of a padded head beyond them are never set.
  size_t mask_words() const { return (tokens_.bytes.size() + 63) / 64; }
  size_t size() const { return tokens_.bytes.size(); }
  std::string_view BytesOf(int32_t id) const { return tokens_.bytes[static_cast<size_t>(id)]; }
  bool IsControl(int32_t id) const { return BytesOf(id).empty(); }
  std::optional<int32_t> ControlId(std::string_view content) const;
  ControlTokens control_tokens() const {
    return [this](std::string_view content) { return ControlId(content); };
  }

  const TokenTrie& all() const { return all_; }
  // Tokens with a quote, a backslash, a control character or a part of a character. The others are plain text.
  const TokenTrie& irregular() const { return irregular_; }
  // Adds the plain tokens of at most `characters`.
  void AddPlain(uint32_t characters, TokenMask& mask) const;

 private:
  static constexpr uint32_t kMaskedCharacters = 32;

  explicit Vocabulary(TokenList tokens);

  TokenList tokens_;
  TokenTrie all_, irregular_;
  std::vector<std::pair<uint32_t, int32_t>> plain_;  // (characters, id), ascending
  std::vector<TokenMask> plain_masks_;               // [i]: of at most i characters, up to kMaskedCharacters; the last one: all
};

}  // namespace atoll::model::grammar
