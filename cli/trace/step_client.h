#pragma once

// Asks a router for the record of a step, and puts it into words.

#include <string>

#include "base/status.h"
#include "cli/placement/table.h"

namespace atoll::cli {

struct StepReport {
  std::string headline;
  Table layers;      // times in microseconds
  std::string json;  // one object, fields as in attention.proto
};

// The next step with rows of that request (empty: the next step). Waits up to `timeout_ms` for it.
absl::StatusOr<StepReport> TraceStep(const std::string& address, const std::string& request_id, int64_t timeout_ms);

}  // namespace atoll::cli
