#pragma once

// What `atoll placement` asks of a router, as plain structs. Calls block; use from one thread.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace atoll::v1 {
class BalancerStatus;
}

namespace atoll::cli {

struct PlanFigures {
  std::string kind, failure;
  double balance_mean = 0, balance_worst = 0;
  int64_t loads = 0, frees = 0, bytes = 0, uncovered_by_one_loss = 0;
};

struct Balancer {
  bool enabled = false, frozen = false, stuck = false, planning = false;
  uint64_t placement_epoch = 0, rounds = 0, replicas_loaded = 0;
  std::string activity;
  int64_t age_ms = 0, steps_left = 0, lost_experts = 0, steps_since_plan = 0;
  PlanFigures last_plan;
  std::optional<PlanFigures> proposed;
};

Balancer ToBalancer(const v1::BalancerStatus& from);

struct PlacedNode {
  std::string node_id, address;
  double speed = 0;
  bool alive = false;
};

struct PlacedLayer {
  uint32_t layer = 0;
  std::vector<std::vector<uint32_t>> nodes;    // [experts] that hold it
  std::vector<std::vector<float>> shares;      // as `nodes`
  std::vector<float> expected_share;           // [nodes] of a layer's rows; empty: unknown
};

struct PlacementTable {
  uint64_t epoch = 0;  // of the view; 0: there is none yet
  std::vector<PlacedNode> nodes;
  std::vector<PlacedLayer> layers;
  Balancer balancer;
};

enum class PlacementAction { kPlan, kPlanFull, kApply, kFreeze, kUnfreeze };

class PlacementClient {
 public:
  explicit PlacementClient(const std::string& address);
  ~PlacementClient();

  absl::StatusOr<PlacementTable> Get(bool with_layers);
  absl::Status Change(PlacementAction action);

 private:
  struct Stub;
  std::unique_ptr<Stub> stub_;
};

}  // namespace atoll::cli
