#pragma once

// Where spans go and which are sampled: OpenTelemetry's environment variables. Plain values.

#include <functional>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/trace/sampler.h"

namespace atoll::net {

struct OtlpSettings {
  std::string endpoint;      // HOST:PORT of an OTLP receiver over gRPC
  std::string service_name;
  trace::Sampler sampler;
};

// The value of an environment variable; empty where it is not set.
using Environment = std::function<std::string(const std::string& name)>;

// Nothing where no endpoint is set (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, else OTEL_EXPORTER_OTLP_ENDPOINT), or
// OTEL_SDK_DISABLED is true, or OTEL_TRACES_EXPORTER is none. INVALID_ARGUMENT names the variable that cannot be followed.
absl::StatusOr<std::optional<OtlpSettings>> ReadOtlpSettings(const Environment& environment, const std::string& default_service_name);

}  // namespace atoll::net
