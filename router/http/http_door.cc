#include "router/http/http_door.h"

#include "router/http/api/api_error.h"

namespace atoll::router::http {
namespace {

absl::StatusOr<std::unique_ptr<Server>> StartServer(const std::string& listen, const std::string& option, const Routes& routes) {
  const ServerOptions options{.listen = listen,
                              .option = option,
                              .limits = {},
                              .error = [](int status, std::string_view sentence) { return ErrorResponse(status, sentence); }};
  return Server::Start(options, [&routes](Request request, std::shared_ptr<Exchange> exchange) { routes.Handle(std::move(request), std::move(exchange)); });
}

}  // namespace

std::string ListenAddressOr(const std::string& configured, const std::string& otherwise, const std::string& grpc_listen) {
  if (!configured.empty()) return configured;
  return grpc_listen.ends_with(":0") ? otherwise.substr(0, otherwise.rfind(':')) + ":0" : otherwise;
}

HttpDoor::HttpDoor(DoorPolicy policy, const OpenAiSurroundings& surroundings, const std::function<void(Routes&)>& add_metrics_routes)
    : public_routes_(std::move(policy)) {
  AddOpenAiRoutes(surroundings, public_routes_);
  operator_routes_.AddAnswer("/livez", [health = surroundings.health](const Request&) { return Livez(health()); });
  operator_routes_.AddAnswer("/startupz", [health = surroundings.health](const Request&) { return Startupz(health()); });
  for (const char* path : {"/readyz", "/health"}) {
    operator_routes_.AddAnswer(path, [health = surroundings.health](const Request&) { return Readyz(health()); });
  }
  if (add_metrics_routes) add_metrics_routes(operator_routes_);
}

absl::StatusOr<std::unique_ptr<HttpDoor>> HttpDoor::Start(const HttpConfig& config, const OpenAiSurroundings& surroundings,
                                                          const std::function<void(Routes&)>& add_metrics_routes,
                                                          const std::function<void(Routes&)>& add_public_routes) {
  DoorPolicy policy{.keys = {}, .allowed_origins = config.allowed_origins, .access_log = true, .counts = surroundings.request_counts};
  if (!config.api_key_file.empty()) {
    ATOLL_ASSIGN_OR_RETURN(policy.keys, ApiKeys::Load(config.api_key_file));
  }
  std::unique_ptr<HttpDoor> door(new HttpDoor(std::move(policy), surroundings, add_metrics_routes));
  if (add_public_routes) add_public_routes(door->public_routes_);
  ATOLL_ASSIGN_OR_RETURN(door->public_, StartServer(config.listen_http, "--listen-http", door->public_routes_));
  ATOLL_ASSIGN_OR_RETURN(door->operator_, StartServer(config.listen_metrics, "--listen-metrics", door->operator_routes_));
  return door;
}

void HttpDoor::Shutdown(std::chrono::milliseconds grace) {
  public_->Shutdown(grace);
  operator_->Shutdown(std::chrono::milliseconds(0));
}

}  // namespace atoll::router::http
