#pragma once

// An attention node without its network: sequences come in by Submit, tokens go out by an EventSink, experts are behind
// an ExpertExchange. One thread (the step thread) calls RunOnce in a loop; Submit, Cancel and the readings may be called
// from any thread. The same class serves the program and, over in-memory links, whole clusters in one test process.

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attention_node/expert_exchange.h"
#include "attention_node/layers/attention_shard.h"
#include "attention_node/sequence_request.h"
#include "attention_node/step.h"
#include "base/clock.h"
#include "base/status.h"
#include "kernels/context.h"

namespace atoll::attention_node {

struct CoreOptions {
  int32_t max_num_seqs = 256;            // running sequences
  int32_t max_num_batched_tokens = 512;  // rows of one step
  int32_t max_model_len = 0;             // positions of a sequence; 0: the model's
  int32_t pages = 0;                     // of the latent cache
  int32_t max_queued = 1024;             // sequences that wait at most
  DType activation_dtype = DType::kBF16;
  MicroBatchSetting micro_batches = MicroBatchSetting::kAuto;
  bool shares_processors = true;         // with its expert nodes
};

// Called on the step thread, once per step, with all that it brought. Returns at once.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void OnEvents(std::span<SequenceEvent> events) = 0;  // may be moved from
};

struct CoreLoad {
  int32_t running = 0;
  int32_t waiting = 0;
  int32_t pages_free = 0;
  uint64_t steps = 0;
};

// What the core works with; everything outlives it.
struct CoreParts {
  const AttentionShard* shard = nullptr;
  kernels::Context kernels;
  ExpertExchange* exchange = nullptr;
  EventSink* sink = nullptr;
  const Clock* clock = nullptr;
};

// Pages that `bytes` of memory hold.
int32_t PagesIn(int64_t bytes, const model::ModelConfig& config, DType activation_dtype);

class AttentionCore {
 public:
  // InvalidArgument for options that contradict each other or the model.
  static absl::StatusOr<std::unique_ptr<AttentionCore>> Create(const CoreOptions& options, const CoreParts& parts);
  ~AttentionCore();

  // Thread-safe. InvalidArgument: outside the model's vocabulary, context or the sampler's ranges; ResourceExhausted: the
  // queue is full, or the sequence needs more pages than there are.
  absl::Status Submit(SequenceRequest request);
  // Thread-safe. Its last event says kCancelled, unless it ended before; an unknown key is ignored.
  void Cancel(SequenceKey key);
  // Thread-safe. All sequences of a stream whose submitter is gone: their pages are free by the next step, and no event
  // of theirs is delivered any more.
  void CancelStream(uint64_t stream);
  CoreLoad load() const;
  const CoreOptions& options() const;

  // Step thread only: takes what came in, runs one step, delivers its events. Without work it waits up to `idle`.
  void RunOnce(std::chrono::nanoseconds idle);

 private:
  class Impl;
  explicit AttentionCore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace atoll::attention_node
