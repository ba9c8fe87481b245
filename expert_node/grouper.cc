#include "expert_node/grouper.h"

#include <algorithm>

namespace atoll::expert_node {
namespace {

// A forgotten dispatch costs its later parts one wait, no more.
constexpr size_t kIncompleteMax = 256;
constexpr int64_t kNever = INT64_MAX;

}  // namespace

Grouper::Grouper(const GrouperOptions& options) : options_(options) {
  waiting_.reserve(options.parts_max);
  taken_.reserve(options.parts_max);
  runs_.reserve(options.parts_max);
  incomplete_.reserve(kIncompleteMax);
}

void Grouper::Add(const WaitingPart& part) {
  waiting_.push_back(part);
  if (part.parts <= 1) return;
  const size_t open = FindOpen(part.dispatch);
  if (open == incomplete_.size()) {
    if (incomplete_.size() == kIncompleteMax) incomplete_.erase(incomplete_.begin());
    incomplete_.push_back({part.dispatch, part.parts - 1, part.arrived_ns, part.pair_count});
    return;
  }
  incomplete_[open].last_arrival_ns = part.arrived_ns;
  incomplete_[open].pairs += part.pair_count;
  if (--incomplete_[open].missing == 0) incomplete_.erase(incomplete_.begin() + static_cast<ptrdiff_t>(open));
}

std::span<const int32_t> Grouper::Take(int64_t now_ns) {
  taken_.clear();
  runs_.clear();
  const auto oldest = std::find_if(waiting_.begin(), waiting_.end(), [&](const WaitingPart& p) { return ReadyNs(p) <= now_ns; });
  if (oldest == waiting_.end()) return taken_;
  const uint16_t layer = oldest->dispatch.layer;
  int32_t pairs = 0;
  bool full = false;
  std::erase_if(waiting_, [&](const WaitingPart& part) {
    if (full || part.dispatch.layer != layer || ReadyNs(part) > now_ns) return false;
    full = !taken_.empty() && pairs + part.pair_count > options_.pairs_max;
    if (full) return false;
    pairs += part.pair_count;
    taken_.push_back(part.part);
    runs_.push_back(part);
    return true;
  });
  // Only now: what makes one part of a dispatch ready makes all of them so.
  for (const WaitingPart& part : runs_) NoteTaken(part);
  return taken_;
}

void Grouper::NoteTaken(const WaitingPart& part) {
  if (part.parts <= 1) return;
  if (const size_t open = FindOpen(part.dispatch); open < incomplete_.size()) incomplete_[open].pairs -= part.pair_count;
}

std::optional<int64_t> Grouper::NextReadyNs() const {
  std::optional<int64_t> next;
  for (const WaitingPart& part : waiting_) next = std::min(next.value_or(kNever), ReadyNs(part));
  return next == kNever ? std::nullopt : next;
}

int64_t Grouper::ReadyNs(const WaitingPart& part) const {
  if (std::find(paused_.begin(), paused_.end(), part.dispatch.link) != paused_.end()) return kNever;
  const int64_t ready_ns = part.arrived_ns + options_.gather_wait_ns;
  if (part.parts <= 1) return ready_ns;
  const size_t open = FindOpen(part.dispatch);
  if (open == incomplete_.size() || incomplete_[open].pairs >= options_.pairs_max) return ready_ns;
  return std::max(ready_ns, incomplete_[open].last_arrival_ns + options_.parts_wait_ns);
}

size_t Grouper::FindOpen(const DispatchKey& key) const {
  return std::find_if(incomplete_.begin(), incomplete_.end(), [&](const OpenDispatch& d) { return d.key == key; }) - incomplete_.begin();
}

}  // namespace atoll::expert_node
