#pragma once

// What attention nodes have routed lately, per (layer, expert): a window that slides by sixteenths, prompt and generated
// rows kept apart. Bounded memory. Thread-compatible.

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/placement.h"
#include "router/placement/cluster/cluster_plan.h"

namespace atoll::router {

struct RowsOfLayer {
  int32_t layer = 0;                    // has experts
  std::span<const uint64_t> prompt;     // [experts], or empty: all 0
  std::span<const uint64_t> generated;  // likewise
};

class LoadHistory {
 public:
  // window_steps: of the busiest attention node. `shape`: an empty placement of the model.
  LoadHistory(const model::Placement& shape, int64_t window_steps);

  // Loads to plan with where nothing has been seen yet, [layers][experts]; a layer may be empty.
  void SetColdStart(std::vector<std::vector<double>> loads) { cold_start_ = std::move(loads); }

  void Add(const RowsOfLayer& rows);
  // `node` has run so many steps more; the window moves on when the busiest has run a sixteenth of it.
  void AddSteps(const std::string& node, uint64_t steps);

  bool empty() const { return rows_ == 0; }
  // Expected loads (newer parts of the window count more) and the newest parts as batches.
  ClusterLoads Loads() const;
  // Sums over the window, [layers][experts].
  std::vector<std::vector<double>> Sums(bool generated) const;

 private:
  static constexpr int kParts = 16;

  struct Part {
    std::vector<float> prompt, generated;  // [layers * experts]
    double rows = 0;
  };

  void AddTo(std::vector<float>& sums, int32_t layer, std::span<const uint64_t> rows);
  // The part that was filled `age` parts ago; 0 is the one being filled.
  const Part& PartOfAge(int age) const { return parts_[(newest_ + kParts - age) % kParts]; }

  const int64_t layers_, experts_;
  const std::vector<bool> layer_has_experts_;
  const double steps_per_part_;
  std::array<Part, kParts> parts_;
  int newest_ = 0;
  double rows_ = 0;                             // in all parts
  std::map<std::string, double> steps_in_part_;  // by attention node, since the newest part began
  std::vector<std::vector<double>> cold_start_;
};

}  // namespace atoll::router
