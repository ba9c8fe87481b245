#include "attention_node/sampling/constraints.h"

#include <algorithm>

namespace atoll::attention_node {

absl::StatusOr<CompiledConstraint> Constraints::Compile(const model::Constraint& constraint) {
  {
    std::lock_guard lock(mutex_);
    const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) { return kept.constraint == constraint; });
    if (found != kept_.end()) {
      std::rotate(kept_.begin(), found, found + 1);
      return kept_.front().compiled;
    }
  }
  ATOLL_ASSIGN_OR_RETURN(auto grammar, model::grammar::Grammar::Compile(constraint, vocabulary_.control_tokens()));
  std::lock_guard lock(mutex_);
  kept_.push_front({constraint, {std::move(grammar), next_number_++}});
  if (kept_.size() > kCompiledKept) kept_.pop_back();
  return kept_.front().compiled;
}

}  // namespace atoll::attention_node
