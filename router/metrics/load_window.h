#pragma once

// What has been routed in the last minute, from sums that only grow. Time passed in; thread-safe.

#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "router/metrics/expert_load.h"

namespace atoll::router {

class LoadWindow {
 public:
  static constexpr int64_t kStepNs = 10'000'000'000;
  static constexpr size_t kSteps = 6;

  // It is time for Add.
  bool Due(int64_t now_ns) const {
    std::lock_guard lock(mutex_);
    return kept_.empty() || now_ns - kept_.back().first >= kStepNs;
  }
  void Add(int64_t now_ns, std::vector<LayerCounts> sums) {
    std::lock_guard lock(mutex_);
    kept_.emplace_back(now_ns, std::move(sums));
    if (kept_.size() > kSteps) kept_.pop_front();
  }
  // `sums`: as of now.
  std::vector<LayerCounts> Recent(std::vector<LayerCounts> sums) const {
    std::lock_guard lock(mutex_);
    return kept_.empty() ? std::vector<LayerCounts>{} : CountsSince(std::move(sums), kept_.front().second);
  }

 private:
  mutable std::mutex mutex_;
  std::deque<std::pair<int64_t, std::vector<LayerCounts>>> kept_;
};

}  // namespace atoll::router
