#pragma once

// Which tokens may come next. A mask is a function of grammar and thread alone; those made last are kept, so that most are a look-up.

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>

#include "model/grammar/matcher.h"
#include "model/grammar/tokens/vocabulary.h"

namespace atoll::model::grammar {

inline constexpr size_t kMasksKept = 1024;  // at least; at most twice as many, of 16 KB each for 129,280 tokens

// Thread-safe.
class TokenMasks {
 public:
  // `vocabulary` outlives it.
  explicit TokenMasks(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  // The tokens that `matcher`, whose gates are passed, takes; and `ends` where the text is complete. `number` names the grammar.
  // `mask` has vocabulary.mask_words().
  void Fill(const Matcher& matcher, uint64_t number, std::span<const int32_t> ends, TokenMask& mask);

  size_t kept() const {
    std::lock_guard lock(mutex_);
    return young_.size() + old_.size();
  }

  // Made anew.
  TokenMask Make(const Grammar& grammar, const Thread& thread) const;

 private:
  using Kept = std::unordered_map<std::string, std::shared_ptr<const TokenMask>>;

  std::shared_ptr<const TokenMask> Of(const Grammar& grammar, uint64_t number, const Thread& thread);
  std::shared_ptr<const TokenMask> KeepLocked(const std::string& key, std::shared_ptr<const TokenMask> mask);
  std::string KeyOf(const Grammar& grammar, uint64_t number, const Thread& thread) const;

  const Vocabulary& vocabulary_;
  mutable std::mutex mutex_;
  Kept young_, old_;  // guarded by mutex_; shared with who reads a mask while it is dropped here
};

}  // namespace atoll::model::grammar
