#pragma once

// Constraints of sequences on this node: compiled once for all sequences that share them, with the masks of the tokens that may come next.
// Both caches are bounded. Thread-safe.

#include <cstdint>
#include <deque>
#include <mutex>
#include <span>

#include "attention_node/sampling/compiled_constraint.h"
#include "base/status.h"
#include "model/grammar/constraint.h"
#include "model/grammar/tokens/token_masks.h"
#include "model/grammar/tokens/vocabulary.h"

namespace atoll::attention_node {

class Constraints {
 public:
  explicit Constraints(model::grammar::Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)), masks_(vocabulary_) {}
  Constraints(const Constraints&) = delete;
  Constraints& operator=(const Constraints&) = delete;

  // INVALID_ARGUMENT or UNIMPLEMENTED: see model/grammar/grammar.h.
  absl::StatusOr<CompiledConstraint> Compile(const model::Constraint& constraint);

  const model::grammar::Vocabulary& vocabulary() const { return vocabulary_; }
  model::grammar::TokenMasks& masks() { return masks_; }

 private:
  static constexpr size_t kCompiledKept = 32;
  struct Kept {
    model::Constraint constraint;
    CompiledConstraint compiled;
  };

  const model::grammar::Vocabulary vocabulary_;
  model::grammar::TokenMasks masks_;
  std::mutex mutex_;
  std::deque<Kept> kept_;     // guarded by mutex_; the latest first
  uint64_t next_number_ = 1;  // guarded by mutex_
};

}  // namespace atoll::attention_node
