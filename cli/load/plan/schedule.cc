#include "cli/load/plan/schedule.h"

#include <algorithm>
#include <cmath>

#include "cli/load/plan/duration.h"

namespace atoll::load {
namespace {

constexpr uint64_t kArrivalStream = 1;

}  // namespace

OpenSchedule::OpenSchedule(const OpenLoop& loop) : loop_(loop), random_(loop.seed, kArrivalStream) { Advance(); }

void OpenSchedule::Advance() {
  expected_ += std::isinf(loop_.burstiness) ? 1.0 : random_.Gamma(loop_.burstiness) / loop_.burstiness;
  next_ns_ = std::llround(SecondsAt(expected_) * static_cast<double>(kNsPerSecond));
}

// Inverse of the integral of the rate: with r(t) = a + (b - a) t / T, a t + (b - a) t^2 / 2T = expected, then rate b.
double OpenSchedule::SecondsAt(double expected) const {
  const double ramp = static_cast<double>(loop_.ramp_ns) / static_cast<double>(kNsPerSecond), a = loop_.ramp_from, b = loop_.rate;
  const double within_ramp = (a + b) / 2 * ramp;
  if (expected >= within_ramp) return ramp + (expected - within_ramp) / b;
  const double curve = (b - a) / ramp;  // the root in the form that stays exact where the rate hardly changes
  return 2 * expected / (a + std::sqrt(std::max(0.0, a * a + 2 * curve * expected)));
}

ClosedSchedule::ClosedSchedule(const ClosedLoop& loop) : think_ns_(loop.think_ns) {
  for (int64_t user = 0; user < loop.concurrency; ++user)
    free_ns_.push(static_cast<int64_t>(static_cast<double>(loop.ramp_ns) * static_cast<double>(user) / static_cast<double>(loop.concurrency)));
}

std::optional<int64_t> ClosedSchedule::NextNs() {
  return free_ns_.empty() ? std::nullopt : std::optional(free_ns_.top());
}

TraceSchedule::TraceSchedule(std::vector<int64_t> times_ns, double speed) : times_ns_(std::move(times_ns)) {
  std::sort(times_ns_.begin(), times_ns_.end());
  const int64_t first = times_ns_.empty() ? 0 : times_ns_[0];
  for (int64_t& time : times_ns_) time = std::llround(static_cast<double>(time - first) / speed);
}

std::optional<int64_t> TraceSchedule::NextNs() {
  return next_ < times_ns_.size() ? std::optional(times_ns_[next_]) : std::nullopt;
}

}  // namespace atoll::load
