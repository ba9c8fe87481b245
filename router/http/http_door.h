#pragma once

// The router's two HTTP ports: the public one with OpenAI's API, and the operator's one with probes (and metrics).

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "router/http/door/openai_routes.h"
#include "router/http/door/routes.h"
#include "router/http/server/server.h"

namespace atoll::router::http {

struct HttpConfig {
  std::string listen_http;     // empty: 127.0.0.1:8000, or port 0 where the gRPC port is 0
  std::string listen_metrics;  // empty: 127.0.0.1:8001, likewise
  std::string api_key_file;
  std::vector<std::string> allowed_origins;
  bool strict_requests = false;
};

// `configured`, or `otherwise` with the port 0 where `grpc_listen` has it.
std::string ListenAddressOr(const std::string& configured, const std::string& otherwise, const std::string& grpc_listen);

// Start and Shutdown from one thread.
class HttpDoor {
 public:
  // What `surroundings` points to outlives the door's Shutdown. `add_metrics_routes` may add more to the operator's port,
  // `add_public_routes` to the public one.
  // INVALID_ARGUMENT for settings, UNAVAILABLE for addresses.
  static absl::StatusOr<std::unique_ptr<HttpDoor>> Start(const HttpConfig& config, const OpenAiSurroundings& surroundings,
                                                         const std::function<void(Routes&)>& add_metrics_routes,
                                                         const std::function<void(Routes&)>& add_public_routes = {});

  const std::string& http_address() const { return public_->address(); }
  const std::string& metrics_address() const { return operator_->address(); }

  // Answers that run may end within `grace`.
  void Shutdown(std::chrono::milliseconds grace);

 private:
  HttpDoor(DoorPolicy policy, const OpenAiSurroundings& surroundings, const std::function<void(Routes&)>& add_metrics_routes);

  Routes public_routes_;
  Routes operator_routes_;
  std::unique_ptr<Server> public_;
  std::unique_ptr<Server> operator_;
};

}  // namespace atoll::router::http
