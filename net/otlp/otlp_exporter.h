#pragma once

// Sends a tracer's spans to an OTLP receiver, from a thread of its own. Nobody waits for it: while the receiver is away or
// slow, spans wait up to the tracer's bound and are dropped and counted beyond it, or when a call fails.

#include <memory>
#include <string>

#include "base/trace/tracer.h"
#include "net/otlp/otlp_settings.h"

namespace atoll::net {

// Who sends; on every span's resource.
struct OtlpResource {
  std::string service_version;
  std::string instance_id;  // of the process among those of its service name
};

// Owns the tracer. Thread-safe. Its end sends what is left, for at most a second.
class OtlpExporter {
 public:
  virtual ~OtlpExporter() = default;
  virtual trace::Tracer& tracer() = 0;

  static std::unique_ptr<OtlpExporter> Start(const OtlpSettings& settings, const OtlpResource& resource);
};

// As this process's environment says: null where it asks for no spans, and then nothing is ever sent.
absl::StatusOr<std::unique_ptr<OtlpExporter>> StartOtlpFromEnvironment(const std::string& default_service_name, const OtlpResource& resource);

// Of an exporter that may be null.
inline trace::Tracer* TracerOf(const std::unique_ptr<OtlpExporter>& exporter) { return exporter == nullptr ? nullptr : &exporter->tracer(); }

}  // namespace atoll::net
