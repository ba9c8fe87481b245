#include "router/app.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/build_info.h"
#include "base/log.h"
#include "base/options.h"
#include "router/http/door/step_route.h"
#include "router/page/page_routes.h"
#include "router/placement/load_file/expert_load_file.h"
#include "router/vllm/vllm_service.h"

namespace atoll::router {
namespace {

constexpr int64_t kTickMs = 25;
constexpr int64_t kHeartbeatMs = 50;
constexpr int64_t kStuckNs = 5'000'000'000;
constexpr char kListenHttp[] = "127.0.0.1:8000";
constexpr char kListenMetrics[] = "127.0.0.1:8001";
// What clients call: ready when a token can be made.
constexpr const char* kServiceNames[] = {"atoll.v1.InferenceService", kVllmServiceName};
constexpr TokenOptions kTokens{.probe_after_ms = 1000, .stalled_after_ms = 2500};

ClusterOptions ClusterOptionsOf(const RouterConfig& config, const ServedModel& model, std::vector<std::vector<double>> cold_start) {
  return {.registry = {.model_fingerprint = model.fingerprint(),
                       .peer_silence_ms = config.peer_silence_ms,
                       .tick_ms = kTickMs,
                       .mixed_numerics = config.mixed_numerics},
          .tokens = kTokens,
          .placement = {.balance = config.balance,
                        .routing_bias = {.epsilon = static_cast<float>(config.routing_bias_epsilon), .changed_max = config.routing_bias_changed_max},
                        .min_expert_nodes = config.min_expert_nodes, .cold_start = std::move(cold_start)}};
}

// [layers][experts] of the model; empty where no file is given. Layers of the file that the model does not have are an error.
absl::StatusOr<std::vector<std::vector<double>>> ReadColdStart(const std::string& path, const model::ModelConfig& config) {
  if (path.empty()) return std::vector<std::vector<double>>{};
  ATOLL_ASSIGN_OR_RETURN(ExpertLoads loads, ReadExpertLoads(path));
  const int64_t layers = config.layers_total(), experts = config.gate.n_routed_experts;
  if (loads.experts() != experts || static_cast<int64_t>(loads.counts.size()) > layers) {
    return absl::InvalidArgumentError(absl::StrCat("--expert-load ", path, ": expected at most ", layers, " layers of ", experts, " experts, found ",
                                                   loads.counts.size(), " of ", loads.experts()));
  }
  return std::move(loads.counts);
}

FrontDoorOptions FrontDoorOptionsOf(const RouterConfig& config, trace::Tracer* tracer) {
  std::random_device random;
  return {.admission = config.admission,
          .request_timeout_ms = config.request_timeout_ms,
          .random_seed = (uint64_t{random()} << 32) | random(),
          .tracer = tracer};
}

RouterMetricsOptions MetricsOptionsOf(const RouterConfig& config, const ServedModel& model) {
  return {.build = {.version = Version(), .commit = Commit(), .model = model.name(), .model_fingerprint = model.fingerprint()},
          .shape = {.layers = model.config().layers_total(), .experts = model.config().gate.n_routed_experts},
          .vllm_names = !config.no_vllm_metric_names,
          .status_interval_ms = config.status_interval_ms};
}

// A token that every model has.
int32_t ProbeToken(const ServedModel& model) {
  const int64_t bos = model.config().bos_token_id;
  return bos >= 0 && bos < model.config().vocab_size ? static_cast<int32_t>(bos) : 0;
}

}  // namespace

App::App(const RouterConfig& config, ServedModel model, std::vector<std::vector<double>> cold_start, std::unique_ptr<net::OtlpExporter> spans)
    : config_(config),
      spans_(std::move(spans)),
      model_(std::move(model)),
      control_({.cluster = ClusterOptionsOf(config_, model_, std::move(cold_start)),
                .probe_token_id = ProbeToken(model_),
                .on_health = [this](const HealthView& health) { OnHealth(health); }},
               model_.experts(), &clock_),
      front_door_(FrontDoorOptionsOf(config_, net::TracerOf(spans_)), &model_, &clock_, &control_),
      metrics_(MetricsOptionsOf(config_, model_), {.front_door = &front_door_, .control = &control_, .clock = &clock_}) {}

absl::StatusOr<std::unique_ptr<App>> App::Start(const RouterConfig& config) {
  ATOLL_ASSIGN_OR_RETURN(ServedModel model, ServedModel::Load(config.model, config.served_model_name, config.tool_call_parser));
  ATOLL_ASSIGN_OR_RETURN(std::vector<std::vector<double>> cold_start, ReadColdStart(config.expert_load, model.config()));
  ATOLL_ASSIGN_OR_RETURN(std::unique_ptr<net::OtlpExporter> spans, net::StartOtlpFromEnvironment("atoll-router", {VersionText(), config.listen}));
  std::unique_ptr<App> app(new App(config, std::move(model), std::move(cold_start), std::move(spans)));
  ATOLL_RETURN_IF_ERROR(app->Listen());
  return app;
}

absl::Status App::Listen() {
  inference_service_ = MakeInferenceService(&front_door_, &worker_);
  const ClusterServiceOptions options{.heartbeat_ms = static_cast<int32_t>(std::clamp<int64_t>(config_.peer_silence_ms / 5, 5, kHeartbeatMs)),
                                      .peer_silence_ms = static_cast<int32_t>(config_.peer_silence_ms)};
  cluster_service_ = MakeClusterService(options, &control_, &front_door_, &clock_);
  vllm_service_ = MakeVllmService({.front_door = &front_door_, .worker = &worker_, .control = &control_, .clock = &clock_, .draining = &draining_, .version = VersionText()});
  ATOLL_ASSIGN_OR_RETURN(server_, net::GrpcServer::Start({.listen = config_.listen}, {inference_service_.get(), cluster_service_.get(), vllm_service_.get()}));
  ATOLL_RETURN_IF_ERROR(ListenHttp());
  ticked_ns_ = clock_.NowNs();
  SetServing();
  ticker_ = std::thread([this] { Tick(); });
  return absl::OkStatus();
}

absl::Status App::ListenHttp() {
  http::HttpConfig config = config_.http;
  config.listen_http = http::ListenAddressOr(config.listen_http, kListenHttp, config_.listen);
  config.listen_metrics = http::ListenAddressOr(config.listen_metrics, kListenMetrics, config_.listen);
  const http::OpenAiSurroundings surroundings{.front_door = &front_door_,
                                              .worker = &worker_,
                                              .health = [this] { return Health(); },
                                              .version = VersionText(),
                                              .strict_requests = config.strict_requests,
                                              .request_counts = metrics_.http_counts()};
  page_feed_ = std::make_unique<page::PageFeed>(page::PageFeedOptions{.cluster = [this](bool expert_counts) { return control_.Report(expert_counts); },
                                                                      .requests = [this] { return front_door_.totals(); },
                                                                      .latencies = [this] { return front_door_.metrics().Snapshot(); },
                                                                      .facts = FactsForPage()});
  const auto add_page = [this](http::Routes& routes) {
    page::AddPageRoutes(page_feed_.get(), routes);
    routes.Add("GET", "/page/step", http::StepTraceHandler(&control_));
  };
  const auto add_operator_routes = [this](http::Routes& routes) {
    metrics_.AddRoutes(routes);
    routes.Add("GET", "/debug/step", http::StepTraceHandler(&control_));
  };
  ATOLL_ASSIGN_OR_RETURN(http_, http::HttpDoor::Start(config, surroundings, add_operator_routes, add_page));
  return absl::OkStatus();
}

page::PageFacts App::FactsForPage() const {
  return {.model = model_.name(),
          .version = VersionText(),
          .layers = model_.config().num_hidden_layers,
          .experts = model_.config().gate.n_routed_experts,
          .experts_per_token = model_.config().gate.num_experts_per_tok,
          .chat = model_.ForChat().ok() && model_.tokenizer() != nullptr};
}

http::ClusterHealth App::Health() const {
  // Whoever is stuck may hold the control's lock.
  if (Stuck()) return {.was_ready = was_ready_, .draining = draining_, .stuck = true};
  const ClusterReport report = control_.Report(false);
  if (report.ready) was_ready_ = true;
  http::ClusterHealth health{.ready = report.ready,
                             .not_ready_reason = report.not_ready_reason,
                             .was_ready = was_ready_,
                             .draining = draining_,
                             .uptime_ms = (clock_.NowNs() - started_ns_) / 1000000,
                             .missing_expert_nodes = config_.min_expert_nodes,
                             .nodes = {}};
  for (const NodeReport& node : report.nodes) {
    const bool expert = node.node.hello.role == NodeRole::kExpert;
    const bool lost = node.state == NodeState::kLost;
    if (expert && !lost) --health.missing_expert_nodes;
    health.nodes.push_back({.node_id = node.node.hello.node_id,
                            .expert = expert,
                            .ready = node.state == NodeState::kReady,
                            .lost = lost,
                            .loading = node.state == NodeState::kLoading,
                            .loaded_bytes = node.node.heartbeat.loaded_bytes,
                            .to_load_bytes = node.node.heartbeat.to_load_bytes});
  }
  health.missing_expert_nodes = std::max<int64_t>(health.missing_expert_nodes, 0);
  return health;
}

// Called with the control's lock; the server exists, since nodes come through it.
void App::OnHealth(const HealthView& health) {
  {
    std::lock_guard lock(health_mutex_);
    health_ = health;
  }
  SetServing();
}

bool App::Stuck() const { return clock_.NowNs() - ticked_ns_ > kStuckNs; }

// While it drains the process is well, but nobody is served any more.
void App::SetServing() {
  std::lock_guard lock(health_mutex_);
  server_->SetServing("", !stuck_);
  const bool open = !stuck_ && !draining_;
  for (const char* name : kServiceNames) server_->SetServing(name, open && health_.ready);
  server_->SetServing("router", open);
  server_->SetServing("attention", open && health_.attention);
  server_->SetServing("expert", open && health_.expert);
}

void App::RefreshHealth() {
  const bool stuck = Stuck();
  if (stuck_.exchange(stuck) == stuck) return;
  if (stuck) LogError("the thread that keeps the cluster has not turned for ", kStuckNs / 1000000000, " s");
  SetServing();
}

void App::Tick() {
  int64_t next_ns = clock_.NowNs();
  while (!stop_ticking_) {
    ticked_ns_ = clock_.NowNs();
    control_.Tick();
    front_door_.Tick();
    metrics_.Tick();
    next_ns = std::max(next_ns + kTickMs * 1000000, clock_.NowNs());
    control_.WaitForWork(std::chrono::milliseconds((next_ns - clock_.NowNs()) / 1000000));
  }
}

void App::WaitForRequests() {
  const int64_t until_ns = clock_.NowNs() + config_.shutdown_timeout_ms * 1000000;
  int64_t running = front_door_.totals().running;
  if (running > 0) LogInfo("waiting for ", running, " requests, up to ", config_.shutdown_timeout_ms, " ms");
  while (front_door_.totals().running > 0 && clock_.NowNs() < until_ns && !hurry_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  running = front_door_.totals().running;
  if (running > 0) LogWarning("cancelling ", running, " requests that still run");
}

void App::Shutdown() {
  if (std::exchange(shut_down_, true)) return;
  if (server_ == nullptr) return;
  draining_ = true;
  SetServing();
  front_door_.Drain();
  WaitForRequests();
  front_door_.FailAll(absl::UnavailableError("the router is shutting down; ask another one"));
  if (page_feed_ != nullptr) page_feed_->Stop();
  if (http_ != nullptr) http_->Shutdown(std::chrono::milliseconds(500));
  stop_ticking_ = true;
  if (ticker_.joinable()) ticker_.join();
  control_.Shutdown(absl::UnavailableError("the router is shutting down"));
  server_->Shutdown(std::chrono::milliseconds(500));
}

App::~App() {
  hurry_ = true;
  Shutdown();
}

}  // namespace atoll::router
