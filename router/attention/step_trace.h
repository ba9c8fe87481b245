#pragma once

// One step of an attention node, recorded: proto/atoll/v1/attention.proto has every field's meaning. Plain values; times are
// microseconds since the step's begin.

#include <cstdint>
#include <string>
#include <vector>

namespace atoll::router {

struct StepTraceCall {
  std::string request_id = {};  // empty: the next step, whoever's rows it has
  int64_t timeout_ms = 3000;
};

struct ExpertNodeTrace {
  std::string node_id;
  int32_t rows = 0;
  int32_t pairs = 0;
  int64_t sent_us = 0;
  int64_t arrived_us = 0;
};

struct LayerTrace {
  int32_t layer = 0;
  int32_t micro_batch = 0;
  int32_t rows = 0;
  int64_t begin_us = 0;
  int64_t attention_end_us = 0;
  int64_t posted_us = 0;  // 0: a dense layer, as all that follow
  int64_t shared_begin_us = 0;
  int64_t shared_end_us = 0;
  int64_t complete_us = 0;
  int64_t combined_us = 0;
  std::vector<ExpertNodeTrace> nodes;
};

struct StepTrace {
  std::string node_id;
  uint64_t step = 0;
  int32_t rows = 0;
  int32_t prompt_rows = 0;
  int32_t micro_batches = 0;
  std::vector<std::string> request_ids;
  bool shared_expert_first = false;
  int64_t embedded_us = 0;
  std::vector<LayerTrace> layers;  // in the order in which they began
  int64_t head_begin_us = 0;
  int64_t head_end_us = 0;
  int64_t sampling_us = 0;
};

}  // namespace atoll::router
