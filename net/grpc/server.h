#pragma once

// A gRPC server with what every Atoll process wants of one: a port that may be 0, message limits, health, reflection, a
// log line for each call that fails, and one shutdown sequence.

#include <grpcpp/server.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"

namespace atoll::net {

struct GrpcServerOptions {
  std::string listen;  // HOST:PORT; port 0 picks a free one
  int message_bytes_max = 16 << 20;
  size_t buffered_bytes_max = size_t{1} << 30;  // of all connections together; beyond it streams are reset, the oldest first
  int metadata_bytes_max = 16 << 10;
  int streams_per_connection_max = 1024;
  bool reflection = true;
};

// Thread-safe after Start. Destruction shuts down at once.
class GrpcServer {
 public:
  // The services outlive the server. UNAVAILABLE where the address cannot be listened on, INVALID_ARGUMENT where it is none.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options,
                                                           const std::vector<grpc::Service*>& services);
  ~GrpcServer();

  // HOST:PORT as listened on, with the real port.
  const std::string& address() const { return address_; }
  int port() const { return port_; }

  // grpc.health.v1: "" serves from the start, every other name once it is set. Who watches is told of changes alone.
  void SetServing(const std::string& service, bool serving);

  // No new calls; those that run may end within `grace`, then they are cancelled. Returns when all have ended.
  void Shutdown(std::chrono::milliseconds grace);

 private:
  GrpcServer() = default;

  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  int port_ = 0;
  std::mutex mutex_;
  std::map<std::string, bool> serving_;  // guarded by mutex_: as last said
};

// Once, before the first gRPC call of a process: Debian's Abseil looks for deadlocks on every lock otherwise, and what gRPC
// logs itself is a debug line of ours.
void PrepareGrpc();

}  // namespace atoll::net
