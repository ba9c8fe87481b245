#pragma once

// A whole model in one thread, fed with given tokens: what tests compare with references. Teacher-forced logits and hidden
// states leave through the step runner's observer, never through the server.

#include <memory>
#include <string>
#include <vector>

#include "attention_node/core.h"
#include "attention_node/step_runner.h"
#include "base/dtype.h"
#include "tests/attention_node/local_experts.h"

namespace atoll::attention_node {

struct ForwardOptions {
  DType activation_dtype = DType::kBF16;
  kernels::Context kernels;
  int32_t rows_max = 512;
};

// What one pass over a sequence computed, by position.
struct ForwardTrace {
  int64_t hidden_size = 0, vocabulary = 0, experts_per_token = 0;
  std::vector<std::vector<float>> logits;                // [positions][vocabulary]
  std::vector<std::vector<float>> hidden;                // [layers + 1] of [positions * hidden]; the last one normed
  std::vector<std::vector<int32_t>> experts;             // [layers] of [positions * experts per token]
  std::vector<std::vector<float>> expert_weights;        // likewise
};

struct ForwardRun {
  std::vector<int32_t> tokens;
  int32_t prompt_count = 0;   // positions below are of the prompt class
  int32_t chunk = 512;        // rows per step
  int32_t micro_batches = 1;
};

class ForwardPass {
 public:
  static absl::StatusOr<std::unique_ptr<ForwardPass>> Load(const std::string& checkpoint_dir, const ForwardOptions& options);

  const model::ModelConfig& config() const { return shard_.config; }
  LocalExperts& experts() { return *experts_; }
  StepRunner& runner() { return *runner_; }
  AttentionShard& shard() { return shard_; }
  BiasedGate& routing_bias() { return *routing_bias_; }

  ForwardTrace Run(const ForwardRun& run);

 private:
  explicit ForwardPass(const ForwardOptions& options) : options_(options), clock_() {}

  const ForwardOptions options_;
  SteadyClock clock_;
  AttentionShard shard_;
  std::unique_ptr<LocalExperts> experts_;
  std::unique_ptr<ExpertCounts> counts_;
  std::unique_ptr<BiasedGate> routing_bias_;
  std::unique_ptr<StepRunner> runner_;
};

}  // namespace atoll::attention_node
