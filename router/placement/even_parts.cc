#include "router/placement/even_parts.h"

#include <algorithm>
#include <numeric>

namespace atoll::router {
namespace {

constexpr int32_t kThoroughSwapsPerNode = 20;
constexpr double kEvenEnough = 1.0003;  // highest / mean

struct Part {
  double load = 0, speed = 0;
  std::vector<int32_t> singles;  // by load, lightest first

  double level() const { return load / speed; }
};

struct Swap {
  int32_t part = -1, out = 0, in = 0;  // indexes into the parts and their singles
  double highest = 0;
};

class PartEvener {
 public:
  PartEvener(Packing& packing, int32_t experts, bool thoroughly) : packing_(packing), thoroughly_(thoroughly), root_(packing.nodes().count()) {
    std::iota(root_.begin(), root_.end(), 0);
    for (int32_t e = 0; e < experts; ++e)
      for (const int32_t node : packing.HostsOf(e)) root_[Root(node)] = Root(packing.HostsOf(e)[0]);
    std::vector<int32_t> part_of(root_.size(), -1);
    for (int32_t n = 0; n < packing.nodes().count(); ++n) {
      int32_t& part = part_of[Root(n)];
      if (part < 0) part = static_cast<int32_t>(parts_.size()), parts_.emplace_back();
      parts_[part].load += packing.load(n);
      parts_[part].speed += packing.nodes().speed[n];
    }
    for (int32_t e = 0; e < experts; ++e)
      if (packing.copies(e) == 1 && !packing.HostsOf(e).empty()) parts_[part_of[Root(packing.HostsOf(e)[0])]].singles.push_back(e);
    for (Part& part : parts_) Sort(part);
  }

  void Run() {
    const int32_t rounds_max = packing_.nodes().count() * (thoroughly_ ? kThoroughSwapsPerNode : 1);
    for (int32_t round = 0; round < rounds_max && parts_.size() > 1; ++round) {
      const auto hottest = std::max_element(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) { return a.level() < b.level(); });
      const auto hot = static_cast<int32_t>(hottest - parts_.begin());
      if (parts_[hot].level() <= packing_.mean_level() * kEvenEnough) return;
      const Swap swap = BestSwap(hot);
      if (swap.part < 0) return;
      Apply(hot, swap);
    }
  }

 private:
  int32_t Root(int32_t n) {
    while (root_[n] != n) n = root_[n] = root_[root_[n]];
    return n;
  }

  void Sort(Part& part) {
    std::sort(part.singles.begin(), part.singles.end(),
              [&](int32_t a, int32_t b) { return std::pair(packing_.load_of(a), a) < std::pair(packing_.load_of(b), b); });
  }

  Swap BestSwap(int32_t hot) const {
    Swap best{-1, 0, 0, parts_[hot].level() * (1 - 1e-9)};
    for (int32_t p = 0; p < static_cast<int32_t>(parts_.size()); ++p)
      if (p != hot && parts_[p].level() < (thoroughly_ ? best.highest : packing_.mean_level())) TryPart(hot, p, best);
    return best;
  }

  // For each expert that could leave, the one to come back is where the difference is nearest to what would even both
  // parts: as the leaving one grows, so does it.
  void TryPart(int32_t hot, int32_t cold, Swap& best) const {
    const Part &from = parts_[hot], &to = parts_[cold];
    const double wanted = (from.level() - to.level()) / (1 / from.speed + 1 / to.speed);
    const auto last = static_cast<int32_t>(to.singles.size()) - 1;
    int32_t j = 0;
    for (int32_t i = 0; i < static_cast<int32_t>(from.singles.size()) && last >= 0; ++i) {
      const double out = packing_.load_of(from.singles[i]);
      while (j < last && packing_.load_of(to.singles[j + 1]) <= out - wanted) ++j;
      for (int32_t k = j; k <= std::min(j + 1, last); ++k) {
        const double moved = out - packing_.load_of(to.singles[k]);
        if (moved <= 0) continue;
        const double highest = std::max((from.load - moved) / from.speed, (to.load + moved) / to.speed);
        if (highest < best.highest) best = {cold, i, k, highest};
      }
    }
  }

  void Apply(int32_t hot, const Swap& swap) {
    Part &from = parts_[hot], &to = parts_[swap.part];
    int32_t &out = from.singles[swap.out], &in = to.singles[swap.in];
    const double moved = packing_.load_of(out) - packing_.load_of(in);
    packing_.SwapSingles(out, in);
    from.load -= moved;
    to.load += moved;
    std::swap(out, in);
    Sort(from);
    Sort(to);
  }

  Packing& packing_;
  const bool thoroughly_;
  std::vector<int32_t> root_;
  std::vector<Part> parts_;
};

}  // namespace

void EvenParts(Packing& packing, int32_t experts, bool thoroughly) { PartEvener(packing, experts, thoroughly).Run(); }

}  // namespace atoll::router
