#include "attention_node/sampling/constrained_text.h"

#include <algorithm>

namespace atoll::attention_node {

bool ConstrainedText::MayHave(int32_t token) const {
  const model::grammar::Vocabulary& vocabulary = constraints_->vocabulary();
  if (token < 0 || static_cast<size_t>(token) >= vocabulary.size()) return false;
  const std::vector<int32_t>& controls = compiled_.grammar->controls();
  return !vocabulary.IsControl(token) || std::binary_search(controls.begin(), controls.end(), token);
}

bool ConstrainedText::Take(int32_t token) {
  const model::grammar::Vocabulary& vocabulary = constraints_->vocabulary();
  if (const model::grammar::Gate* gate = matcher_.gate(); gate != nullptr) {
    if (token == gate->token) matcher_.PassGate();
    return true;
  }
  if (token < 0 || static_cast<size_t>(token) >= vocabulary.size()) return false;
  return vocabulary.IsControl(token) ? matcher_.TakeControl(token) : matcher_.TakeBytes(vocabulary.BytesOf(token));
}

}  // namespace atoll::attention_node
