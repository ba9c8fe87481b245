#pragma once

// What an AttentionCore is made with and what it tells: plain values.

#include <cstdint>
#include <span>

#include "attention_node/sequence_request.h"
#include "attention_node/step.h"
#include "base/dtype.h"
#include "model/config.h"

namespace atoll::attention_node {

struct CoreOptions {
  int32_t max_num_seqs = 256;            // running sequences
  int32_t max_num_batched_tokens = 512;  // rows of one step
  int32_t max_model_len = 0;             // positions of a sequence; 0: the model's
  int32_t pages = 0;                     // of the latent cache (PagesIn)
  int32_t max_queued = 1024;             // sequences that wait at most
  int32_t token_count = 0;               // ids that have a token, others are never sampled; 0: all
  DType activation_dtype = DType::kBF16;
  MicroBatchSetting micro_batches = MicroBatchSetting::kAuto;
  bool shares_processors = true;         // with its expert nodes, until SetSharesProcessors
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
  uint64_t steps = 0;       // those of probes alone left out
  uint64_t preemptions = 0;
  uint64_t layers_run = 0;  // grows as long as a step gets on
  uint64_t turns = 0;       // of the step thread: grows as long as that is not stuck
};

// Pages that `bytes` of memory hold.
int32_t PagesIn(int64_t bytes, const model::ModelConfig& config, DType activation_dtype);

}  // namespace atoll::attention_node
