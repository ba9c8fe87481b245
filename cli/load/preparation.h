#pragma once

// What a load test needs before its first request: prompts from the dataset, and token ids where lengths are asked for.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/load/load_options.h"
#include "cli/load/load_target.h"

namespace atoll::load {

struct PreparedLoad {
  Workload workload;
  std::vector<int64_t> times_ns;  // of a trace, in order
  std::string lengths, dataset;   // for the report
};

// Reads the dataset and asks the target's tokenizer. INVALID_ARGUMENT where dataset, options and model do not fit.
absl::StatusOr<PreparedLoad> Prepare(const LoadOptions& chosen, const LoadPlan& plan, const TargetFacts& facts, LoadTarget& target);

}  // namespace atoll::load
