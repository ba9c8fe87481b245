#include "router/placement/exact_split.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace atoll::router {
namespace {

constexpr int32_t kUnreached = -1;
constexpr int kStartSweeps = 6;      // of water-filling, so that the flow has little left to do
constexpr int kLevelsTried = 200;    // each raises the level to a tighter set of nodes; a handful is usual
constexpr double kRelativeStep = 1e-11;

double SumOf(std::span<const double> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

}  // namespace

ExactSplit::ExactSplit(const LayerPlacement& placement, const LayerNodes& nodes)
    : placement_(placement), speed_(nodes.speed), held_(nodes.count()), expert_of_(placement.host.size()), rows_(placement.host.size()),
      load_(placement.experts()), unsent_(placement.experts()), fixed_(nodes.count()), room_(nodes.count()), sum_(nodes.count()),
      expert_depth_(placement.experts()), node_depth_(nodes.count()), expert_next_(placement.experts()), node_next_(nodes.count()) {
  for (int32_t e = 0; e < placement_.experts(); ++e) {
    if (placement_.copies(e) > 1) shared_.push_back(e);
    for (int32_t r = placement_.first[e]; r < placement_.first[e + 1]; ++r) {
      expert_of_[r] = e;
      if (placement_.copies(e) > 1) held_[placement_.host[r]].push_back(r);
    }
  }
}

// Moves one expert's load over its hosts so that their levels even out as far as they can.
void ExactSplit::Sweep(int32_t expert, double load) {
  const int32_t first = placement_.first[expert], last = placement_.first[expert + 1];
  for (int32_t r = first; r < last; ++r) sum_[placement_.host[r]] -= rows_[r];
  const auto level = [&](int32_t r) { return sum_[placement_.host[r]] / speed_[placement_.host[r]]; };
  queue_.resize(last - first);
  std::iota(queue_.begin(), queue_.end(), first);
  std::sort(queue_.begin(), queue_.end(), [&](int32_t a, int32_t b) { return level(a) < level(b); });
  double speed = 0, filled = 0, top = 0;
  size_t used = 0;
  for (; used < queue_.size(); ++used) {
    if (used > 0 && (load + filled) / speed <= level(queue_[used])) break;
    speed += speed_[placement_.host[queue_[used]]];
    filled += sum_[placement_.host[queue_[used]]];
  }
  top = (load + filled) / speed;
  for (size_t i = 0; i < queue_.size(); ++i) {
    const int32_t r = queue_[i], node = placement_.host[r];
    rows_[r] = i < used ? std::max(0.0, top * speed_[node] - sum_[node]) : 0;
    sum_[node] += rows_[r];
  }
}

void ExactSplit::Start(std::span<const double> loads) {
  std::copy(loads.begin(), loads.end(), load_.begin());
  std::fill(fixed_.begin(), fixed_.end(), 0.0);
  for (int32_t e = 0; e < placement_.experts(); ++e) {
    for (int32_t r = placement_.first[e]; r < placement_.first[e + 1]; ++r) rows_[r] = load_[e] / placement_.copies(e);
    if (placement_.copies(e) == 1) fixed_[placement_.host[placement_.first[e]]] += load_[e];
  }
  sum_ = fixed_;
  for (const int32_t e : shared_)
    for (int32_t r = placement_.first[e]; r < placement_.first[e + 1]; ++r) sum_[placement_.host[r]] += rows_[r];
  for (int sweep = 0; sweep < kStartSweeps; ++sweep)
    for (const int32_t e : shared_) Sweep(e, load_[e]);
  const double total = SumOf(load_);
  least_step_ = total * kRelativeStep;
  level_ = total / SumOf(speed_);
  for (size_t n = 0; n < fixed_.size(); ++n) level_ = std::max(level_, fixed_[n] / speed_[n]);
  // What lies above the level is taken back and has to find its way through the graph.
  for (size_t n = 0; n < fixed_.size(); ++n) {
    double over = sum_[n] - level_ * speed_[n];
    for (const int32_t r : held_[n]) {
      const double back = std::clamp(over, 0.0, rows_[r]);
      rows_[r] -= back;
      sum_[n] -= back;
      over -= back;
    }
  }
  for (const int32_t e : shared_) {
    unsent_[e] = load_[e];
    for (int32_t r = placement_.first[e]; r < placement_.first[e + 1]; ++r) unsent_[e] -= rows_[r];
  }
}

// Breadth first from experts with unsent load: to their hosts, and from a host back to experts that have load there.
bool ExactSplit::Reach() {
  std::fill(expert_depth_.begin(), expert_depth_.end(), kUnreached);
  std::fill(node_depth_.begin(), node_depth_.end(), kUnreached);
  std::fill(node_next_.begin(), node_next_.end(), 0);
  queue_.clear();
  for (const int32_t e : shared_) {
    if (unsent_[e] <= least_step_) continue;
    expert_depth_[e] = 0;
    queue_.push_back(e);
  }
  bool found = false;
  for (size_t i = 0; i < queue_.size(); ++i) {
    const int32_t e = queue_[i];
    expert_next_[e] = placement_.first[e];
    for (int32_t r = placement_.first[e]; r < placement_.first[e + 1]; ++r) {
      const int32_t node = placement_.host[r];
      if (node_depth_[node] != kUnreached) continue;
      node_depth_[node] = expert_depth_[e] + 1;
      if (room_[node] > least_step_) found = true;
      for (const int32_t other : held_[node]) {
        const int32_t back = expert_of_[other];
        if (rows_[other] <= least_step_ || expert_depth_[back] != kUnreached) continue;
        expert_depth_[back] = node_depth_[node] + 1;
        queue_.push_back(back);
      }
    }
  }
  return found;
}

double ExactSplit::Push(int32_t expert, double amount) {
  for (int32_t& r = expert_next_[expert]; r < placement_.first[expert + 1]; ++r) {
    const int32_t node = placement_.host[r];
    if (node_depth_[node] != expert_depth_[expert] + 1) continue;
    if (room_[node] > least_step_) {
      const double sent = std::min(amount, room_[node]);
      room_[node] -= sent;
      rows_[r] += sent;
      return sent;
    }
    for (int32_t& i = node_next_[node]; i < static_cast<int32_t>(held_[node].size()); ++i) {
      const int32_t other = held_[node][i], back = expert_of_[other];
      if (rows_[other] <= least_step_ || expert_depth_[back] != node_depth_[node] + 1) continue;
      const double sent = Push(back, std::min(amount, rows_[other]));
      if (sent <= 0) continue;
      rows_[other] -= sent;
      rows_[r] += sent;
      return sent;
    }
  }
  return 0;
}

void ExactSplit::Augment() {
  while (Reach()) {
    double moved = 0;
    for (const int32_t e : shared_) {
      if (expert_depth_[e] != 0) continue;
      for (double sent; unsent_[e] > least_step_ && (sent = Push(e, unsent_[e])) > 0; moved += sent) unsent_[e] -= sent;
    }
    if (moved <= 0) return;
  }
}

// The nodes that Reach found are full: what is theirs alone decides the level.
double ExactSplit::LevelOfTightestSet() const {
  double load = 0, speed = 0;
  for (size_t n = 0; n < fixed_.size(); ++n) {
    if (node_depth_[n] == kUnreached) continue;
    load += fixed_[n];
    speed += speed_[n];
  }
  for (const int32_t e : shared_) {
    const auto hosts = placement_.HostsOf(e);
    if (std::all_of(hosts.begin(), hosts.end(), [&](int32_t node) { return node_depth_[node] != kUnreached; })) load += load_[e];
  }
  return speed > 0 ? load / speed : 0;
}

double ExactSplit::LeastLevel(std::span<const double> loads) {
  Start(loads);
  for (int tried = 0; tried < kLevelsTried; ++tried) {
    for (size_t n = 0; n < fixed_.size(); ++n) {
      double used = fixed_[n];
      for (const int32_t r : held_[n]) used += rows_[r];
      room_[n] = level_ * speed_[n] - used;
    }
    Augment();
    const double next = LevelOfTightestSet();
    if (next <= level_ * (1 + kRelativeStep)) break;
    level_ = next;
  }
  return level_;
}

double LeastLevelOfAnyPlacement(std::span<const double> loads, int32_t nodes, int64_t slots) {
  using Piece = std::pair<double, size_t>;
  std::vector<Piece> heap;
  for (size_t e = 0; e < loads.size(); ++e) heap.emplace_back(loads[e], e);
  std::make_heap(heap.begin(), heap.end());
  std::vector<int64_t> copies(loads.size(), 1);
  for (auto extra = slots - static_cast<int64_t>(loads.size()); extra > 0; --extra) {
    std::pop_heap(heap.begin(), heap.end());
    const size_t e = heap.back().second;
    heap.back().first = loads[e] / static_cast<double>(++copies[e]);
    std::push_heap(heap.begin(), heap.end());
  }
  return std::max(SumOf(loads) / nodes, heap.front().first);
}

double Imbalance(double level, std::span<const double> loads, double speed_total) {
  const double total = SumOf(loads);
  return total > 0 ? level * speed_total / total - 1 : 0;
}

}  // namespace atoll::router
