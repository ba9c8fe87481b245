#include "net/otlp/otlp_settings.h"

#include "absl/strings/str_cat.h"

namespace atoll::net {
namespace {

constexpr char kPlain[] = "http://";

absl::Status Invalid(const std::string& variable, const std::string& expected, const std::string& found) {
  return absl::InvalidArgumentError(absl::StrCat(variable, ": expected ", expected, ", found \"", found, "\""));
}

// "http://HOST:PORT", as the specification writes it, or "HOST:PORT"; the port is 4317 where there is none.
absl::StatusOr<std::string> AddressOf(const std::string& variable, const std::string& endpoint) {
  std::string address = endpoint.starts_with(kPlain) ? endpoint.substr(sizeof kPlain - 1) : endpoint;
  if (address.ends_with('/')) address.pop_back();
  if (address.empty() || address.find('/') != std::string::npos) {
    return Invalid(variable, "http://HOST:PORT of an OTLP receiver over gRPC (TLS is not offered)", endpoint);
  }
  if (address.find(':') == std::string::npos) address += ":4317";
  return address;
}

}  // namespace

absl::StatusOr<std::optional<OtlpSettings>> ReadOtlpSettings(const Environment& environment, const std::string& default_service_name) {
  constexpr char kSpecific[] = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", kGeneral[] = "OTEL_EXPORTER_OTLP_ENDPOINT";
  const std::string variable = environment(kSpecific).empty() ? kGeneral : kSpecific;
  const std::string endpoint = environment(variable);
  if (endpoint.empty() || environment("OTEL_SDK_DISABLED") == "true" || environment("OTEL_TRACES_EXPORTER") == "none") return std::nullopt;
  for (const char* name : {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"}) {
    if (const std::string protocol = environment(name); !protocol.empty() && protocol != "grpc") return Invalid(name, "grpc", protocol);
  }
  OtlpSettings settings;
  ATOLL_ASSIGN_OR_RETURN(settings.endpoint, AddressOf(variable, endpoint));
  const std::string sampler_name = environment("OTEL_TRACES_SAMPLER"), argument = environment("OTEL_TRACES_SAMPLER_ARG");
  const std::optional<trace::Sampler> sampler = trace::ParseSampler(sampler_name, argument);
  if (!sampler) {
    return Invalid("OTEL_TRACES_SAMPLER", "always_on, always_off or traceidratio with OTEL_TRACES_SAMPLER_ARG of 0 to 1, or one of these after parentbased_",
                   absl::StrCat(sampler_name, " with ", argument));
  }
  settings.sampler = *sampler;
  settings.service_name = environment("OTEL_SERVICE_NAME");
  if (settings.service_name.empty()) settings.service_name = default_service_name;
  return settings;
}

}  // namespace atoll::net
