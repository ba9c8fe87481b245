#include "router/placement/initial_placement.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace atoll::router {
namespace {

using model::ExpertId;
using model::Placement;

struct NodeRoom {
  int64_t slots = 0;      // experts that fit its memory
  int64_t assigned = 0;   // experts given so far
  double target = 0;      // experts that it should get in the end
};

// Speed-proportional targets, cut at what fits; what is cut goes to the others in the same proportion.
void SetTargets(const std::vector<ExpertNodeOffer>& nodes, int64_t experts, std::vector<NodeRoom>& rooms) {
  std::vector<bool> full(nodes.size(), false);
  double left = static_cast<double>(experts);
  for (size_t round = 0; round < nodes.size(); ++round) {
    double speed = 0;
    for (size_t i = 0; i < nodes.size(); ++i) speed += full[i] ? 0 : nodes[i].speed;
    bool cut = false;
    double cut_sum = 0;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (full[i]) continue;
      rooms[i].target = left * nodes[i].speed / speed;
      if (rooms[i].target <= static_cast<double>(rooms[i].slots)) continue;
      rooms[i].target = static_cast<double>(rooms[i].slots);
      full[i] = cut = true;
      cut_sum += rooms[i].target;
    }
    if (!cut) return;
    left -= cut_sum;
  }
}

void KeepHeld(const std::vector<ExpertNodeOffer>& nodes, std::vector<NodeRoom>& rooms, Placement& placement) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const ExpertId& id : nodes[i].held) {
      if (!placement.Contains(id) || !placement.ReplicasOf(id).empty() || rooms[i].assigned >= rooms[i].slots) continue;
      placement.ReplicasOf(id) = {{.node = static_cast<int32_t>(i), .share = 1}};
      ++rooms[i].assigned;
    }
  }
}

// The node that is furthest behind its target after `part` of all layers, among those with room.
size_t FurthestBehind(const std::vector<NodeRoom>& rooms, const std::vector<int64_t>& quota, double part) {
  size_t best = rooms.size();
  double best_behind = 0;
  for (size_t i = 0; i < rooms.size(); ++i) {
    const int64_t taken = rooms[i].assigned + quota[i];
    if (taken >= rooms[i].slots) continue;
    const double behind = rooms[i].target * part - static_cast<double>(taken);
    if (best == rooms.size() || behind > best_behind) {
      best = i;
      best_behind = behind;
    }
  }
  return best;
}

void PlaceLayer(int32_t layer, double part, std::vector<NodeRoom>& rooms, Placement& placement) {
  std::vector<ExpertId> open;
  for (int32_t e = 0; e < placement.experts; ++e) {
    if (placement.ReplicasOf({layer, e}).empty()) open.push_back({layer, e});
  }
  std::vector<int64_t> quota(rooms.size(), 0);
  for (size_t k = 0; k < open.size(); ++k) ++quota[FurthestBehind(rooms, quota, part)];
  size_t next = 0;
  for (size_t i = 0; i < rooms.size(); ++i) {
    for (int64_t k = 0; k < quota[i]; ++k) placement.ReplicasOf(open[next++]) = {{.node = static_cast<int32_t>(i), .share = 1}};
    rooms[i].assigned += quota[i];
  }
}

absl::Status DoesNotFit(int64_t experts, int64_t slots, const ExpertsToPlace& what, size_t nodes) {
  const double gb = 1e-9 * static_cast<double>(what.expert_bytes);
  return absl::FailedPreconditionError(absl::StrFormat(
      "the experts do not fit: %d experts of %d bytes need %.3f GB, the %d expert nodes have room for %d (%.3f GB); add expert "
      "nodes or memory",
      experts, what.expert_bytes, gb * static_cast<double>(experts), nodes, slots, gb * static_cast<double>(slots)));
}

}  // namespace

absl::StatusOr<Placement> InitialPlacement(const ExpertsToPlace& experts, const std::vector<ExpertNodeOffer>& nodes) {
  Placement placement = model::EmptyPlacement(*experts.config, experts.with_mtp);
  const auto moe_layers = std::count(placement.layer_has_experts.begin(), placement.layer_has_experts.end(), true);
  const int64_t total = moe_layers * placement.experts;
  std::vector<NodeRoom> rooms(nodes.size());
  int64_t slots = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    rooms[i].slots = std::min(total, static_cast<int64_t>(nodes[i].memory_bytes / static_cast<uint64_t>(experts.expert_bytes)));
    slots += rooms[i].slots;
    placement.node_ids.push_back(nodes[i].node_id);
  }
  if (slots < total) return DoesNotFit(total, slots, experts, nodes.size());
  SetTargets(nodes, total, rooms);
  KeepHeld(nodes, rooms, placement);
  int64_t layers_done = 0;
  for (int32_t layer = 0; layer < placement.layers; ++layer) {
    if (!placement.layer_has_experts[layer]) continue;
    ++layers_done;
    PlaceLayer(layer, static_cast<double>(layers_done) / static_cast<double>(moe_layers), rooms, placement);
  }
  return placement;
}

}  // namespace atoll::router
