#pragma once

// An attention node without its network: sequences come in by Submit, tokens go out by an EventSink, experts are behind
// an ExpertExchange. One thread (the step thread) calls RunOnce in a loop; Submit, Cancel and the readings may be called
// from any thread. The same class serves the program and, over in-memory links, whole clusters in one test process.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "attention_node/batching/batcher.h"
#include "attention_node/core_options.h"
#include "attention_node/routing/expert_counts.h"
#include "attention_node/expert_exchange.h"
#include "attention_node/layers/attention_shard.h"
#include "attention_node/intake/mailbox.h"
#include "attention_node/intake/request_check.h"
#include "attention_node/sampling/constraints.h"
#include "attention_node/sampling/token_sampler.h"
#include "attention_node/sequence_request.h"
#include "attention_node/step.h"
#include "attention_node/step_runner.h"
#include "attention_node/trace/span_recorder.h"
#include "attention_node/trace/step_recorder.h"
#include "base/clock.h"
#include "base/status.h"
#include "kernels/context.h"

namespace atoll::attention_node {

// What the core works with; everything outlives it.
struct CoreParts {
  const AttentionShard* shard = nullptr;
  std::vector<int32_t> eos_ids;  // ends of a sequence (the model's and generation_config.json's)
  kernels::Context kernels;
  ExpertExchange* exchange = nullptr;
  EventSink* sink = nullptr;
  const Clock* clock = nullptr;
  Constraints* constraints = nullptr;  // null: sequences with a constraint are refused
  trace::Tracer* tracer = nullptr;  // may be null
};

class AttentionCore {
 public:
  // InvalidArgument for options that contradict each other or the model. `options` as in use, defaults filled in, are
  // options() afterwards.
  static absl::StatusOr<std::unique_ptr<AttentionCore>> Create(const CoreOptions& options, const CoreParts& parts);
  ~AttentionCore();

  // Thread-safe. InvalidArgument: outside the model's vocabulary, context or the sampler's ranges, or a constraint that cannot be;
  // Unimplemented: one that is not supported; ResourceExhausted: the queue is full, or the sequence needs more pages than there are.
  absl::Status Submit(SequenceRequest request);
  // Thread-safe. The sequence's last event says kCancelled, unless it ended before; an unknown key is ignored.
  void Cancel(SequenceKey key);
  // Thread-safe. For a submitter that is gone: pages are free by the next step, no further event is delivered.
  void CancelStream(uint64_t stream);
  // Thread-safe. Whether expert nodes run on this machine: two micro-batches gain nothing there.
  void SetSharesProcessors(bool shares) { shares_processors_ = shares; }
  CoreLoad load() const;
  ExpertCounts& expert_counts() { return counts_; }
  BiasedGate& routing_bias() { return routing_bias_; }  // SetView and TakeCounts from any thread
  StepRecorder& recorder() { return recorder_; }  // Ask and Forget from any thread
  const CoreOptions& options() const { return options_; }

  // Step thread only: takes what came in, runs one step, delivers its events. Without work it waits up to `idle`.
  void RunOnce(std::chrono::nanoseconds idle);

 private:
  absl::Status CompileConstraint(SequenceRequest& request);
  struct Live;
  class Reader;

  AttentionCore(const CoreOptions& options, const CoreParts& parts);
  void TakeMail();
  void EndExpired(int64_t now_ns);
  void ChooseShares();
  void RunStep();
  void FinishStep();
  void AddToken(Live& live, SampleResult& result);
  void Fail(Live& live, absl::Status status);
  void End(Live& live, EndReason reason, absl::Status status);
  void DeliverAndSweep();
  SequenceEvent& EventOf(Live& live);
  Live& LiveOfShare(int32_t share);

  const CoreOptions options_;
  const CoreParts parts_;
  const RequestBounds bounds_;
  Vocabulary vocabulary_;
  Mailbox mailbox_;
  ExpertCounts counts_;
  BiasedGate routing_bias_;
  StepRecorder recorder_;
  std::atomic<int32_t> running_{0}, pages_free_{0};
  std::atomic<bool> shares_processors_;
  std::atomic<uint64_t> steps_{0}, preemptions_{0}, turns_{0};

  // Step thread only from here on.
  PagePool pool_;
  kernels::HugeBuffer pages_;
  const size_t page_bytes_;
  StepRunner runner_;
  uint64_t step_number_ = 0;
  TokenSampler sampler_;
  SpanRecorder spans_;
  std::vector<std::unique_ptr<Live>> live_;  // oldest first
  std::vector<BatchCandidate> candidates_;
  BatchDecision decision_;
  std::vector<StepShare> shares_;
  StepPlan plan_;
  StepOutcome outcome_;
  std::vector<SampleResult> results_;        // by share; of those that sampled
  std::vector<SequenceEvent> events_;
  std::vector<SequenceKey> ended_;
};

}  // namespace atoll::attention_node
