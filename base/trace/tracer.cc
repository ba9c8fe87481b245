#include "base/trace/tracer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace atoll::trace {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

}  // namespace

Tracer::Tracer(const Sampler& sampler, uint64_t seed, size_t spans_max) : sampler_(sampler), spans_max_(spans_max), state_(seed) {}

// SplitMix64: never the same bits twice, and no lock.
uint64_t Tracer::RandomBits() {
  uint64_t z = state_.fetch_add(kGolden, std::memory_order_relaxed) + kGolden;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

TraceContext Tracer::NewSpan(const std::optional<TraceContext>& below) {
  const std::optional<TraceContext> parent = below && !below->empty() ? below : std::nullopt;
  TraceContext context;
  while (context.empty()) {
    if (parent) {
      context.trace_id = parent->trace_id;
    } else {
      const uint64_t halves[2] = {RandomBits(), RandomBits()};
      std::memcpy(context.trace_id.data(), halves, sizeof halves);
    }
    const uint64_t id = RandomBits();
    std::memcpy(context.span_id.data(), &id, sizeof id);
  }
  context.flags = Samples(sampler_, parent, context.trace_id) ? kSampledFlag : 0;
  return context;
}

void Tracer::Record(Span span) {
  if (!span.context.sampled()) return;
  ++recorded_;
  std::lock_guard lock(mutex_);
  if (waiting_.size() >= spans_max_ || closed_) return CountDropped(1);
  waiting_.push_back(std::move(span));
  if (waiting_.size() == 1) changed_.notify_one();
}

std::vector<Span> Tracer::Take(size_t most, std::chrono::milliseconds timeout) {
  constexpr std::chrono::milliseconds kGather{200};
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, timeout, [&] { return closed_ || !waiting_.empty(); })) return {};
  changed_.wait_for(lock, kGather, [&] { return closed_ || waiting_.size() >= most; });
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(most, waiting_.size()));
  std::vector<Span> taken(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  return taken;
}

void Tracer::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool Tracer::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace atoll::trace
