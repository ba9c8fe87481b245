#pragma once

// Which traces are recorded: OTEL_TRACES_SAMPLER and its argument. Pure.

#include <cstdint>
#include <optional>
#include <string>

#include "base/trace/trace_context.h"

namespace atoll::trace {

struct Sampler {
  bool parent_based = true;  // who has a parent does as the parent did
  double ratio = 1;          // of the traces without one, or of all; by the trace id alone, so that everybody decides alike

  friend bool operator==(const Sampler&, const Sampler&) = default;
};

// "always_on", "always_off", "traceidratio" (with the argument, a ratio), each also as "parentbased_...". Empty:
// "parentbased_always_on". Nothing for another name, or an argument that is no number of 0 to 1.
std::optional<Sampler> ParseSampler(const std::string& name, const std::string& argument);

bool Samples(const Sampler& sampler, const std::optional<TraceContext>& parent, const TraceId& trace_id);

}  // namespace atoll::trace
