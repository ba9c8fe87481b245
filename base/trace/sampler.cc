#include "base/trace/sampler.h"

#include "absl/strings/numbers.h"

namespace atoll::trace {
namespace {

constexpr char kParentBased[] = "parentbased_";
constexpr double kTwoTo64 = 18446744073709551616.0;

// The last eight bytes of the id, of which W3C wants them random.
double PlaceOf(const TraceId& id) {
  uint64_t value = 0;
  for (size_t i = 8; i < id.size(); ++i) value = value << 8 | id[i];
  return static_cast<double>(value);
}

}  // namespace

std::optional<Sampler> ParseSampler(const std::string& name, const std::string& argument) {
  if (name.empty()) return Sampler{};
  Sampler sampler{.parent_based = name.starts_with(kParentBased)};
  const std::string root = sampler.parent_based ? name.substr(sizeof kParentBased - 1) : name;
  if (root == "always_on") return sampler;
  if (root == "always_off") {
    sampler.ratio = 0;
    return sampler;
  }
  if (root != "traceidratio") return std::nullopt;
  if (!argument.empty() && !absl::SimpleAtod(argument, &sampler.ratio)) return std::nullopt;
  if (!(sampler.ratio >= 0 && sampler.ratio <= 1)) return std::nullopt;
  return sampler;
}

bool Samples(const Sampler& sampler, const std::optional<TraceContext>& parent, const TraceId& trace_id) {
  if (sampler.parent_based && parent) return parent->sampled();
  return sampler.ratio >= 1 || PlaceOf(trace_id) < sampler.ratio * kTwoTo64;
}

}  // namespace atoll::trace
