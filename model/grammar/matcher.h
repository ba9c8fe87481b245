#pragma once

// How far a text has come in a grammar. Pure.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/grammar/grammar.h"
#include "model/grammar/thread.h"

namespace atoll::model::grammar {

// Readings of one text that live at a time; what would be more is given up, the later alternatives first. What is taken stays right.
inline constexpr size_t kThreadsMax = 32;

// The readings of a text after one more byte, or one more control token: appended to `after`, none twice.
void StepByte(const Graph& graph, const Thread& thread, uint8_t byte, std::vector<Thread>& after);
void StepControl(const Graph& graph, const Thread& thread, int32_t control, std::vector<Thread>& after);
// Whether the text may end here.
bool IsComplete(const Graph& graph, const Thread& thread);

// Copyable. Thread-compatible.
class Matcher {
 public:
  // `grammar` outlives the matcher.
  explicit Matcher(const Grammar& grammar);

  // False: the text cannot go on like this; the matcher is as before.
  bool TakeBytes(std::string_view bytes);
  bool TakeControl(int32_t control);

  // The gate that is not yet passed; null: the constraint holds.
  const Gate* gate() const { return gates_passed_ < grammar_->gates().size() ? &grammar_->gates()[gates_passed_] : nullptr; }
  void PassGate() { ++gates_passed_; }

  const Grammar& grammar() const { return *grammar_; }
  std::span<const Thread> threads() const { return threads_; }
  bool complete() const;
  // Complete, and nothing may follow.
  bool finished() const;

 private:
  const Grammar* grammar_;
  size_t gates_passed_ = 0;
  std::vector<Thread> threads_;
};

}  // namespace atoll::model::grammar
