#include "net/memory/fault_plan.h"

namespace atoll::net {
namespace {

// splitmix64's finalizer.
uint64_t Mix(uint64_t value) {
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

double Unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

}  // namespace

MessageFate Decide(const FaultPlan& plan, std::string_view connection, uint64_t message) {
  uint64_t state = Mix(plan.seed);
  for (char c : connection) state = Mix(state ^ static_cast<unsigned char>(c));
  state = Mix(state ^ message);
  const auto draw = [&](uint64_t which) { return Unit(Mix(state ^ (which << 56))); };
  MessageFate fate;
  fate.lost = draw(1) < plan.loss;
  fate.duplicated = draw(2) < plan.duplicate;
  fate.reordered = draw(3) < plan.reorder;
  fate.disconnects = draw(4) < plan.disconnect;
  fate.delay_ns = plan.delay_min_ns + static_cast<int64_t>(draw(5) * static_cast<double>(plan.delay_max_ns - plan.delay_min_ns));
  return fate;
}

}  // namespace atoll::net
