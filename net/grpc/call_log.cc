#include "net/grpc/call_log.h"

#include <grpcpp/server_context.h>

#include <chrono>
#include <string>

#include "base/log.h"
#include "net/grpc/deadline.h"
#include "net/grpc/status_map.h"

namespace atoll::net {
namespace {

using grpc::experimental::InterceptionHookPoints;

constexpr size_t kLoggedBytesMax = 200;

// What a peer sent, made fit for one line.
std::string Printable(std::string_view text) {
  std::string out(text.substr(0, kLoggedBytesMax));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return out;
}

class CallLog final : public grpc::experimental::Interceptor {
 public:
  explicit CallLog(grpc::experimental::ServerRpcInfo* info) : info_(info), started_(std::chrono::steady_clock::now()) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) LogEnd(methods->GetSendStatus());
    methods->Proceed();
  }

 private:
  void LogEnd(const grpc::Status& status) const {
    if (status.ok()) return;
    const auto spent = std::chrono::steady_clock::now() - started_;
    const auto left_ms = RemainingMs(*info_->server_context());
    LogLine(LogLevel::kInfo,
            absl::StrCat(info_->method(), " from ", info_->server_context()->peer(), " ended ",
                         std::string(StatusCodeName(static_cast<absl::StatusCode>(status.error_code()))), " after ",
                         std::chrono::duration_cast<std::chrono::milliseconds>(spent).count(), " ms",
                         left_ms ? absl::StrCat(" (", *left_ms, " ms before its deadline)") : "", ": ", Printable(status.error_message())),
            RequestId());
  }

  std::string RequestId() const {
    const auto& metadata = info_->server_context()->client_metadata();
    const auto found = metadata.find(kRequestIdKey);
    if (found == metadata.end()) return "";
    return Printable(std::string_view(found->second.data(), found->second.size()));
  }

  grpc::experimental::ServerRpcInfo* const info_;
  const std::chrono::steady_clock::time_point started_;
};

class CallLogFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    return new CallLog(info);  // gRPC owns it for the call's life
  }
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallLogFactory() {
  return std::make_unique<CallLogFactory>();
}

}  // namespace atoll::net
