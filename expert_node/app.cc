#include "expert_node/app.h"

#include <algorithm>

#include "base/log.h"
#include "base/options.h"
#include "model/shard_plan.h"
#include "net/ucx/ucx_host.h"
#include "node/numerics_fingerprint.h"

namespace atoll::expert_node {
namespace {

constexpr auto kIdlePoll = std::chrono::milliseconds(200);
constexpr char kHealthName[] = "expert";

uint64_t MemoryFor(const ExpertOptions& options) {
  if (options.expert_memory_bytes > 0) return static_cast<uint64_t>(options.expert_memory_bytes);
  return node::AvailableMemoryBytes() / 10 * 9;
}

}  // namespace

absl::StatusOr<std::unique_ptr<App>> App::Start(const ExpertOptions& options, node::StopSignal& stop) {
  ATOLL_ASSIGN_OR_RETURN(const node::NodeSettings settings, node::ReadNodeOptions(options.node, node::Role::kExpert));
  net::ApplyUcxSettings(settings.ucx);
  net::PrepareGrpc();
  std::unique_ptr<App> app(new App);
  ATOLL_ASSIGN_OR_RETURN(app->spans_, net::StartOtlpFromEnvironment("atoll-expert", {VersionText(), settings.node_id}));
  app->drain_timeout_ = std::chrono::milliseconds(static_cast<int64_t>(1e3 * options.drain_timeout_s));
  ATOLL_RETURN_IF_ERROR(app->OpenModel(options, settings, stop));
  ATOLL_RETURN_IF_ERROR(app->OpenNetwork(options, settings));
  app->Join(options, settings, stop);
  return app;
}

absl::Status App::OpenModel(const ExpertOptions& options, const node::NodeSettings& settings, node::StopSignal& stop) {
  ATOLL_ASSIGN_OR_RETURN(checkpoint_, model::Checkpoint::Open(options.node.model));
  pool_ = std::make_unique<kernels::ComputePool>(settings.pool);
  const kernels::Context context{settings.isa, pool_.get()};
  ATOLL_ASSIGN_OR_RETURN(numerics_fingerprint_, node::NumericsFingerprint(context, settings.activation_dtype));
  const auto on_error = [&stop](const absl::Status& status) { stop.Request(status); };
  ATOLL_ASSIGN_OR_RETURN(store_, ExpertStore::Create(*checkpoint_, settings.isa, {MemoryFor(options), pool_->threads(), on_error}));
  CoreOptions core;
  core.activation_dtype = settings.activation_dtype;
  core.numerics_fingerprint = numerics_fingerprint_;
  core.incarnation = settings.incarnation;
  core.gather_wait_ns = options.gather_wait_us * 1000;
  core.throttle = options.throttle;
  core_ = std::make_unique<ExpertCore>(core, CoreParts{checkpoint_.get(), store_.get(), context, &clock_, net::TracerOf(spans_)});
  return absl::OkStatus();
}

absl::Status App::OpenNetwork(const ExpertOptions& options, const node::NodeSettings& settings) {
  ATOLL_ASSIGN_OR_RETURN(host_, net::OpenUcxHost(settings.links, settings.ucx, *core_));
  core_->Attach(host_.get());
  ticker_ = std::make_unique<net::LinkTicker>(*host_);
  sessions_ = node::MakeSessionService(core_.get());
  ATOLL_ASSIGN_OR_RETURN(server_, net::GrpcServer::Start({.listen = options.node.listen}, {sessions_.get()}));
  receiver_ = std::thread([this] { ReceiveLoop(); });
  return absl::OkStatus();
}

void App::Join(const ExpertOptions& options, const node::NodeSettings& settings, node::StopSignal& stop) {
  node::ClusterClientOptions cluster;
  cluster.router_address = options.node.router;
  cluster.identity = node::IdentityOf(settings, node::AdvertisedAddress(options.node, server_->address()));
  cluster.identity.speed = options.speed;
  // In stored bytes, as the placement counts them: packed experts are a little larger.
  cluster.identity.memory_bytes = static_cast<uint64_t>(store_->slots()) * static_cast<uint64_t>(model::ExpertBytes(checkpoint_->config()));
  cluster.identity.model_fingerprint = checkpoint_->fingerprint();
  cluster.identity.numerics_fingerprint = numerics_fingerprint_;
  cluster.model = checkpoint_->config();
  membership_ = std::make_unique<Membership>(*core_, *store_, stop);
  cluster_ = std::make_unique<node::ClusterClient>(std::move(cluster), membership_.get());
  cluster_->Start();
}

void App::ReceiveLoop() {
  pool_->PinCaller();
  while (!stopping_) core_->RunOnce(kIdlePoll);
}

void App::RefreshHealth() {
  const bool stuck = turns_.IsStuck(core_->counters().turns, clock_.NowNs());
  server_->SetServing("", !stuck);
  server_->SetServing(kHealthName, !stuck && cluster_->joined() && store_->State().loaded_epoch > 0);
}

App::~App() {
  if (server_ != nullptr) server_->SetServing(kHealthName, false);
  if (cluster_ != nullptr) {
    cluster_->Drain("the process ends", drain_timeout_);
    cluster_->Stop("the process ends");
  }
  stopping_ = true;
  if (host_ != nullptr) host_->Wake();
  if (receiver_.joinable()) receiver_.join();
  if (core_ != nullptr) {
    const CoreCounters ran = core_->counters();
    LogInfo("ran ", ran.rows_run, " rows in ", ran.batches, " batches; refused ", ran.refused, " parts, ", ran.expired, " came too late");
  }
  if (server_ != nullptr) server_->Shutdown(std::chrono::milliseconds(100));
  ticker_ = nullptr;
  host_ = nullptr;  // says goodbye on all links
}

}  // namespace atoll::expert_node
