#include "model/grammar/tokens/vocabulary.h"

#include <algorithm>

#include "base/utf8.h"

namespace atoll::model::grammar {
namespace {

bool IsPlain(std::string_view bytes) {
  const auto special = [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20; };
  return std::none_of(bytes.begin(), bytes.end(), special) && FirstInvalidUtf8(bytes) == bytes.size();
}

uint32_t Characters(std::string_view text) {
  return static_cast<uint32_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

TokenList TokensOf(const Tokenizer& tokenizer) {
  TokenList tokens;
  tokens.bytes.resize(static_cast<size_t>(tokenizer.vocabulary_size()));
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    const std::string bytes(tokenizer.TokenBytes(id));
    if (tokenizer.IdOf(bytes) == id) {
      tokens.control_ids.emplace(bytes, id);
    } else if (bytes.size() <= kTokenBytesMax) {
      tokens.bytes[static_cast<size_t>(id)] = bytes;
    }
  }
  return tokens;
}

absl::StatusOr<Vocabulary> Vocabulary::Make(TokenList tokens) {
  Vocabulary vocabulary(std::move(tokens));
  std::vector<bool> alone(256);
  for (const std::string& bytes : vocabulary.tokens_.bytes) {
    if (bytes.size() == 1) alone[static_cast<unsigned char>(bytes[0])] = true;
  }
  for (int byte = 0x20; byte < 0x7F; ++byte) {
    if (!alone[static_cast<size_t>(byte)]) return absl::FailedPreconditionError(absl::StrCat("the model's tokenizer has no token for the byte ", byte, " alone"));
  }
  return vocabulary;
}

Vocabulary::Vocabulary(TokenList tokens) : tokens_(std::move(tokens)) {
  std::vector<std::pair<std::string_view, int32_t>> all, irregular;
  for (size_t i = 0; i < tokens_.bytes.size(); ++i) {
    const std::string& bytes = tokens_.bytes[i];
    if (bytes.empty()) continue;
    all.emplace_back(bytes, static_cast<int32_t>(i));
    if (IsPlain(bytes)) plain_.emplace_back(Characters(bytes), static_cast<int32_t>(i));
    else irregular.push_back(all.back());
  }
  all_ = TokenTrie(std::move(all));
  irregular_ = TokenTrie(std::move(irregular));
  std::sort(plain_.begin(), plain_.end());
  plain_masks_.assign(kMaskedCharacters + 2, TokenMask(mask_words()));
  for (const auto& [characters, id] : plain_) {
    for (uint32_t i = characters; i <= kMaskedCharacters; ++i) SetToken(id, plain_masks_[i]);
    SetToken(id, plain_masks_.back());
  }
}

std::optional<int32_t> Vocabulary::ControlId(std::string_view content) const {
  const auto found = tokens_.control_ids.find(std::string(content));
  return found == tokens_.control_ids.end() ? std::nullopt : std::optional(found->second);
}

void Vocabulary::AddPlain(uint32_t characters, TokenMask& mask) const {
  const bool any = plain_.empty() || characters >= plain_.back().first;
  const TokenMask& ready = any ? plain_masks_.back() : plain_masks_[std::min(characters, kMaskedCharacters)];
  for (size_t i = 0; i < mask.size(); ++i) mask[i] |= ready[i];
  if (any || characters <= kMaskedCharacters) return;
  const auto first = std::upper_bound(plain_.begin(), plain_.end(), std::pair(kMaskedCharacters, INT32_MAX));
  for (auto token = first; token != plain_.end() && token->first <= characters; ++token) SetToken(token->second, mask);
}

}  // namespace atoll::model::grammar
