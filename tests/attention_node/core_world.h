#pragma once

// An AttentionCore over local experts and the bundled checkpoint, driven by hand.

#include <bit>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "attention_node/core.h"
#include "base/clock.h"
#include "tests/attention_node/local_experts.h"

namespace atoll::attention_node {

// What came of one sequence.
struct Answer {
  std::vector<int32_t> token_ids;
  std::vector<uint32_t> logprob_bits;
  std::vector<SampledToken> tokens;
  std::optional<SequenceEnd> end;
};

// Weights, loaded once per process.
struct TestModel {
  AttentionShard shard;
  std::vector<int32_t> eos_ids;
  std::unique_ptr<LocalExperts> experts;
  std::unique_ptr<Constraints> constraints;
};
TestModel& BundledModel();

class CoreWorld final : public EventSink {
 public:
  explicit CoreWorld(CoreOptions options, trace::Tracer* tracer = nullptr);

  void OnEvents(std::span<SequenceEvent> events) override;
  absl::Status Submit(SequenceRequest request);
  // Steps until every submitted sequence has ended; false where that takes too long.
  bool RunToEnd();
  void RunOnce() { core_->RunOnce(std::chrono::nanoseconds(0)); }

  AttentionCore& core() { return *core_; }
  ManualClock& clock() { return clock_; }
  const Answer& answer(uint64_t id) { return answers_[id]; }
  size_t open() const { return open_; }
  int64_t event_calls() const { return event_calls_; }
  int ended() const { return ended_; }

 private:
  ManualClock clock_;
  std::unique_ptr<AttentionCore> core_;
  std::map<uint64_t, Answer> answers_;
  size_t open_ = 0;
  int64_t event_calls_ = 0;
  int ended_ = 0;
};

// A sequence whose prompt is made from its id.
SequenceRequest MakeRequest(uint64_t id, int32_t prompt_count, int64_t max_tokens);

}  // namespace atoll::attention_node
