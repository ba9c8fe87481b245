#include "net/grpc/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>

#include <mutex>

#include "absl/strings/numbers.h"
#include "absl/synchronization/mutex.h"
#include "base/log.h"
#include "net/grpc/call_log.h"

namespace atoll::net {
namespace {

std::string HostOf(const std::string& listen) { return listen.substr(0, listen.rfind(':')); }

absl::Status CheckHostPort(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  uint32_t port = 0;
  if (colon != std::string::npos && colon > 0 && absl::SimpleAtoi(listen.substr(colon + 1), &port) && port <= 65535) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--listen: expected HOST:PORT with a port of 0 to 65535, found \"", listen, "\""));
}

// What protects the server from its clients; the numbers that have no option are the same for every process.
void SetLimits(const GrpcServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.message_bytes_max);
  builder.SetMaxSendMessageSize(options.message_bytes_max);
  // The library compares a message with its limit when all of it has come, and takes in up to 2 GiB for that: so that no client can
  // fill the machine's memory, a bound far above what honest ones need.
  grpc::ResourceQuota quota("server");
  builder.SetResourceQuota(quota.Resize(options.buffered_bytes_max));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, options.metadata_bytes_max);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.streams_per_connection_max);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  // Without this a client that pings while it waits for nothing is sent away, whatever the interval: the library wants two hours then.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
}

void AddInterceptors(grpc::ServerBuilder& builder) {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> creators;
  creators.push_back(MakeCallLogFactory());
  builder.experimental().SetInterceptorCreators(std::move(creators));
}

}  // namespace

void PrepareGrpc() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  gpr_set_log_function([](gpr_log_func_args* line) { LogLine(LogLevel::kDebug, line->message); });
}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                              const std::vector<grpc::Service*>& services) {
  ATOLL_RETURN_IF_ERROR(CheckHostPort(options.listen));
  // The plugin's list of builders is global and takes effect for builders made later.
  static std::once_flag reflection_once;
  grpc::EnableDefaultHealthCheckService(true);
  if (options.reflection) std::call_once(reflection_once, [] { grpc::reflection::InitProtoReflectionServerBuilderPlugin(); });

  std::unique_ptr<GrpcServer> server(new GrpcServer);
  grpc::ServerBuilder builder;
  SetLimits(options, builder);
  AddInterceptors(builder);
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &server->port_);
  for (grpc::Service* service : services) builder.RegisterService(service);
  server->serving_[""] = true;
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || server->port_ == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen,
                                               ": expected a free HOST:PORT of this machine; choose another with --listen"));
  }
  server->address_ = absl::StrCat(HostOf(options.listen), ":", server->port_);
  return server;
}

GrpcServer::~GrpcServer() {
  if (server_ != nullptr) Shutdown(std::chrono::milliseconds(0));
}

void GrpcServer::SetServing(const std::string& service, bool serving) {
  std::lock_guard lock(mutex_);
  const auto [said, first] = serving_.try_emplace(service, serving);
  if (!first && said->second == serving) return;
  said->second = serving;
  server_->GetHealthCheckService()->SetServingStatus(service, serving);
}

void GrpcServer::Shutdown(std::chrono::milliseconds grace) { server_->Shutdown(std::chrono::system_clock::now() + grace); }

}  // namespace atoll::net
