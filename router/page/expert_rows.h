#pragma once

// Rows per expert as the page's heat map gets them: all so far, and what came since the sample before. Thread-compatible.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "router/cluster/expert_counters.h"

namespace atoll::router::page {

class ExpertRows {
 public:
  // The sums of a newer sample.
  void Take(const std::vector<LayerCounts>& sums);

  // {"layers":[{"layer":1,"rows":[12,0,...]},...]}: layers with traffic, each with one number per expert.
  std::string AllJson() const;
  // Likewise of the newest Take alone; empty where nothing came.
  std::string NewJson() const;

 private:
  using Rows = std::map<int32_t, std::vector<uint64_t>>;  // by layer, [experts]
  static std::string JsonOf(const Rows& layers);

  Rows all_;
  Rows new_;
};

}  // namespace atoll::router::page
