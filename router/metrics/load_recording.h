#pragma once

// One recording of expert loads, begun and ended by an operator. Time passed in; thread-safe.

#include <mutex>
#include <optional>
#include <vector>

#include "router/metrics/expert_load.h"

namespace atoll::router {

class LoadRecording {
 public:
  struct Result {
    std::vector<LayerCounts> counts;
    double seconds = 0;
    bool running = false;
  };

  // A recording that runs or was kept is forgotten. `sums`, here and below: since the router's start, as of now.
  void Start(int64_t now_ns, std::vector<LayerCounts> sums);
  // FAILED_PRECONDITION where none runs.
  absl::Status Stop(int64_t now_ns, std::vector<LayerCounts> sums);
  // Of the recording that runs, or that ran last. FAILED_PRECONDITION where none was started.
  absl::StatusOr<Result> Dump(int64_t now_ns, std::vector<LayerCounts> sums) const;

 private:
  struct Moment {
    int64_t ns = 0;
    std::vector<LayerCounts> sums;
  };

  mutable std::mutex mutex_;
  std::optional<Moment> start_, end_;
};

}  // namespace atoll::router
