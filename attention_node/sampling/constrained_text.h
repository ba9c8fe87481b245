#pragma once

// The constraint of one sequence and how far its text has come. Copyable. Owned by the step thread.

#include <cstdint>
#include <span>

#include "attention_node/sampling/constraints.h"
#include "model/grammar/matcher.h"

namespace atoll::attention_node {

class ConstrainedText {
 public:
  // `constraints` outlives it.
  ConstrainedText(CompiledConstraint compiled, Constraints& constraints)
      : compiled_(std::move(compiled)), constraints_(&constraints), matcher_(*compiled_.grammar), mask_(constraints.vocabulary().mask_words()) {}

  // Takes the next token; false, and nothing has changed: it does not belong there. End tokens are none of the text's.
  bool Take(int32_t token);

  // Whether any constrained text could have the token: an ordinary one, or a control token of the constraint.
  bool MayHave(int32_t token) const;

  // Free text, before the constraint holds.
  bool free() const { return matcher_.gate() != nullptr; }
  // The sequence may end here. `finished`: it has to, nothing more may come.
  bool may_end() const { return free() ? matcher_.gate()->may_end : matcher_.complete(); }
  bool finished() const { return matcher_.finished(); }

  // Where the text is not free: which tokens may come next, `ends` among them where it may end. May run beside others' on any thread.
  void MakeMask(std::span<const int32_t> ends) { constraints_->masks().Fill(matcher_, compiled_.number, ends, mask_); }
  std::span<const uint64_t> mask() const { return mask_; }

 private:
  CompiledConstraint compiled_;
  Constraints* constraints_;
  model::grammar::Matcher matcher_;
  model::grammar::TokenMask mask_;
};

}  // namespace atoll::attention_node
