#include "router/http/door/openai_routes.h"

#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_info.h"
#include "base/log.h"
#include "router/http/api/api_error.h"
#include "router/http/api/generation.h"
#include "router/http/door/tokenize_routes.h"
#include "router/http/json/json_write.h"

namespace atoll::router::http {
namespace {

int64_t UnixSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Response JsonResponse(const Json& body) {
  return {.status = 200, .content_type = "application/json", .headers = {}, .body = body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

// Says each unknown field's name once, and not without end.
class UnknownFields {
 public:
  void Note(const std::vector<std::string>& names) {
    std::lock_guard lock(mutex_);
    for (const std::string& name : names) {
      const bool plain = name.size() <= 64 && name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == std::string::npos;
      if (!plain || said_.size() >= 64 || !said_.insert(name).second) continue;
      LogInfo("a client sends the unknown field ", name, ", which is ignored");
    }
  }

 private:
  std::mutex mutex_;
  std::set<std::string> said_;  // guarded by mutex_
};

class OpenAiApi {
 public:
  explicit OpenAiApi(const OpenAiSurroundings& surroundings) : around_(surroundings), started_s_(UnixSeconds()) {}

  void Generate(AnswerKind kind, const Request& request, std::shared_ptr<Exchange> exchange) {
    Json body;
    if (const absl::Status status = ParseJson(request.body, body); !status.ok()) return exchange->Respond(ErrorResponse(status));
    absl::StatusOr<ApiCall> call = kind == AnswerKind::kChat ? ReadChatCall(body, request.body) : ReadCompletionCall(body, request.body);
    if (call.ok() && !call->unknown.empty()) call = OnUnknown(*std::move(call));
    if (!call.ok()) return exchange->Respond(ErrorResponse(call.status()));
    const std::string id = absl::StrCat(kind == AnswerKind::kChat ? "chatcmpl-" : "cmpl-", MintId());
    for (size_t i = 0; i < call->calls.size(); ++i) {
      if (call->calls[i].request_id.empty()) call->calls[i].request_id = absl::StrCat(id, call->calls.size() > 1 ? absl::StrCat("-", i) : "");
    }
    const RequestTrace trace = ReadRequestTrace(request.OnlyHeader("traceparent"), request.Header("tracestate"));
    for (GenerateCall& prompt : call->calls) prompt.trace = trace;
    const ServedModel& model = around_.front_door->model();
    const AnswerFacts facts{.id = id, .model = model.name(), .fingerprint = absl::StrFormat("fp_%016x", model.fingerprint()), .created_s = UnixSeconds()};
    StartGeneration(*around_.front_door, *std::move(call), facts, std::move(exchange));
  }

  Response Models() const {
    if (!ModelIsServed(around_.health())) return Readyz(NotServed());
    return JsonResponse({{"object", "list"}, {"data", Json::array({ModelCard()})}});
  }

  Response Model(const std::string& name) const {
    if (!ModelIsServed(around_.health())) return Readyz(NotServed());
    if (name == around_.front_door->model().name()) return JsonResponse(ModelCard());
    return ErrorResponse(404, "no model of that name is served here; GET /v1/models lists what is");
  }

  Response Version() const { return JsonResponse({{"version", around_.version}}); }

  Response ServerInfo() const {
    const ServedModel& model = around_.front_door->model();
    const RequestTotals totals = around_.front_door->totals();
    return JsonResponse({{"version", around_.version},
                         {"model", model.name()},
                         {"model_type", "deepseek_v3"},
                         {"max_model_len", around_.front_door->context_length()},
                         {"vocab_size", model.config().vocab_size},
                         {"layers", model.config().num_hidden_layers},
                         {"experts", model.config().gate.n_routed_experts},
                         {"experts_per_token", model.config().gate.num_experts_per_tok},
                         {"uptime_seconds", UnixSeconds() - started_s_},
                         {"requests", {{"running", totals.running}, {"accepted", totals.requests}, {"refused", totals.refused},
                                       {"failed", totals.failed}, {"cancelled", totals.cancelled}}},
                         {"tokens", totals.tokens},
                         {"ready", around_.health().ready}});
  }

  const OpenAiSurroundings& around() const { return around_; }

 private:
  // Why there is no model to list, as /health would say it.
  ClusterHealth NotServed() const {
    ClusterHealth health = around_.health();
    health.ready = false;
    return health;
  }

  Json ModelCard() const {
    const std::string& name = around_.front_door->model().name();
    return {{"id", name}, {"object", "model"}, {"created", started_s_}, {"owned_by", "atoll"},
            {"root", name}, {"parent", nullptr}, {"max_model_len", around_.front_door->context_length()}};
  }

  absl::StatusOr<ApiCall> OnUnknown(ApiCall call) {
    if (!around_.strict_requests) {
      unknown_.Note(call.unknown);
      return call;
    }
    const std::string& name = call.unknown.front();
    return WithErrorInfo(absl::InvalidArgumentError(absl::StrCat(name, ": is unknown here, and --strict-requests is on")),
                         {.reason = "UNKNOWN_PARAMETER", .metadata = {{"field", name}}, .retry_after_ms = {}});
  }

  std::string MintId() {
    std::lock_guard lock(mutex_);
    return absl::StrFormat("%016x%016x", random_(), random_());
  }

  const OpenAiSurroundings around_;
  const int64_t started_s_;
  UnknownFields unknown_;
  std::mutex mutex_;
  std::mt19937_64 random_{(uint64_t{std::random_device()()} << 32) | std::random_device()()};  // guarded by mutex_
};

}  // namespace

Handler ByLength(Worker* worker, Handler handler) {
  return [worker, handler = std::move(handler)](Request request, std::shared_ptr<Exchange> exchange) {
    if (request.body.size() <= kLongTextBytes) return handler(std::move(request), std::move(exchange));
    const auto shared = std::make_shared<Request>(std::move(request));
    const absl::Status status = worker->RunByLength(shared->body.size(), [handler, shared, exchange] { handler(std::move(*shared), exchange); });
    if (!status.ok()) exchange->Respond(ErrorResponse(status));
  };
}

void AddOpenAiRoutes(const OpenAiSurroundings& surroundings, Routes& routes) {
  const auto api = std::make_shared<OpenAiApi>(surroundings);
  const auto generate = [&](AnswerKind kind) {
    return ByLength(surroundings.worker, [api, kind](const Request& request, std::shared_ptr<Exchange> exchange) { api->Generate(kind, request, std::move(exchange)); });
  };
  routes.Add("POST", "/v1/completions", generate(AnswerKind::kCompletion));
  routes.Add("POST", "/v1/chat/completions", generate(AnswerKind::kChat));
  routes.AddAnswer("/v1/models", [api](const Request&) { return api->Models(); });
  routes.AddBelow("GET", "/v1/models/", [api](const Request& request, const std::shared_ptr<Exchange>& exchange) {
    exchange->Respond(api->Model(request.path.substr(std::string_view("/v1/models/").size())));
  });
  routes.AddAnswer("/version", [api](const Request&) { return api->Version(); });
  for (const char* path : {"/server_info", "/get_server_info"}) routes.AddAnswer(path, [api](const Request&) { return api->ServerInfo(); });
  routes.AddProbe("/health", [api](const Request&) { return Readyz(api->around().health()); });
  AddTokenizeRoutes(surroundings.front_door, surroundings.worker, routes);
}

}  // namespace atoll::router::http
