#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "base/log.h"
#include "net/grpc/channel.h"
#include "net/otlp/otlp_exporter.h"
#include "net/otlp/otlp_messages_client.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"

namespace atoll::net {
namespace {

namespace otlp = opentelemetry::proto::collector::trace::v1;

constexpr size_t kBatchSpans = 512;
constexpr std::chrono::milliseconds kTakeWait{1000};
constexpr std::chrono::milliseconds kCallTime{10000};
constexpr std::chrono::milliseconds kLastCallTime{1000};  // of the process's end

uint64_t RandomSeed() {
  std::random_device random;
  return (uint64_t{random()} << 32) | random();
}

class OtlpClient final : public OtlpExporter {
 public:
  OtlpClient(const OtlpSettings& settings, const OtlpResource& resource)
      : settings_(settings),
        resource_(resource),
        tracer_(settings.sampler, RandomSeed()),
        stub_(otlp::TraceService::NewStub(MakeChannel(settings.endpoint))),
        thread_([this] { Run(); }) {}

  ~OtlpClient() override {
    tracer_.Close();
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
      if (running_ != nullptr && std::chrono::system_clock::now() + kLastCallTime < running_->deadline()) running_->TryCancel();
    }
    thread_.join();
    if (tracer_.dropped() > 0) LogWarning(tracer_.dropped(), " spans could not be sent to ", settings_.endpoint);
  }

  trace::Tracer& tracer() override { return tracer_; }

 private:
  void Run() {
    while (true) {
      const std::vector<trace::Span> spans = tracer_.Take(kBatchSpans, kTakeWait);
      if (!spans.empty()) Send(spans);
      else if (tracer_.closed()) return;
    }
  }

  void Send(const std::vector<trace::Span>& spans) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);  // a receiver that starts again is waited for
    if (!Begin(context)) return tracer_.CountDropped(spans.size());
    otlp::ExportTraceServiceResponse response;
    const grpc::Status status = stub_->Export(&context, ToExport(spans, settings_.service_name, resource_), &response);
    End();
    if (!status.ok()) tracer_.CountDropped(spans.size());
    else tracer_.CountDropped(static_cast<size_t>(std::clamp<int64_t>(response.partial_success().rejected_spans(), 0, static_cast<int64_t>(spans.size()))));
    Say(status);
  }

  // False where the process ends and the time for that is over.
  bool Begin(grpc::ClientContext& context) {
    std::lock_guard lock(mutex_);
    const auto now = std::chrono::system_clock::now();
    if (ending_ && last_call_until_ == std::chrono::system_clock::time_point{}) last_call_until_ = now + kLastCallTime;
    if (ending_ && now >= last_call_until_) return false;
    context.set_deadline(ending_ ? last_call_until_ : now + kCallTime);
    running_ = &context;
    return true;
  }

  void End() {
    std::lock_guard lock(mutex_);
    running_ = nullptr;
  }

  // When it begins to fail, and when it works again.
  void Say(const grpc::Status& status) {
    if (std::exchange(failing_, !status.ok()) == failing_) return;
    if (failing_) LogWarning("spans cannot be sent to ", settings_.endpoint, " and are dropped: ", status.error_message());
    else LogInfo("spans are sent to ", settings_.endpoint, " again; ", tracer_.dropped(), " were dropped so far");
  }

  const OtlpSettings settings_;
  const OtlpResource resource_;
  trace::Tracer tracer_;
  const std::unique_ptr<otlp::TraceService::Stub> stub_;
  bool failing_ = false;  // exporter's thread
  std::mutex mutex_;
  bool ending_ = false;                                    // guarded by mutex_
  grpc::ClientContext* running_ = nullptr;                 // guarded by mutex_
  std::chrono::system_clock::time_point last_call_until_;  // guarded by mutex_
  std::thread thread_;  // last: uses all of the above
};

}  // namespace

std::unique_ptr<OtlpExporter> OtlpExporter::Start(const OtlpSettings& settings, const OtlpResource& resource) {
  return std::make_unique<OtlpClient>(settings, resource);
}

absl::StatusOr<std::unique_ptr<OtlpExporter>> StartOtlpFromEnvironment(const std::string& default_service_name, const OtlpResource& resource) {
  const Environment environment = [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value == nullptr ? "" : value);
  };
  ATOLL_ASSIGN_OR_RETURN(const std::optional<OtlpSettings> settings, ReadOtlpSettings(environment, default_service_name));
  if (!settings) return std::unique_ptr<OtlpExporter>();
  LogInfo("spans go to ", settings->endpoint, " as ", settings->service_name);
  return OtlpExporter::Start(*settings, resource);
}

}  // namespace atoll::net
