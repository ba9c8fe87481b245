#include "attention_node/app.h"

#include <algorithm>
#include <functional>

#include "attention_node/layers/measure_roofline.h"
#include "base/log.h"
#include "base/options.h"
#include "model/tokenizer/folder_tokenizer.h"
#include "net/ucx/ucx_host.h"
#include "node/numerics_fingerprint.h"
#include "node/process.h"

namespace atoll::attention_node {
namespace {

constexpr auto kIdleWait = std::chrono::milliseconds(200);
constexpr char kHealthName[] = "attention";
constexpr int32_t kTokenIdsMax = 1 << 24;

int64_t CacheBytes(const AttentionOptions& options, const model::ModelConfig& config, DType dtype) {
  if (options.kv_cache_memory_bytes > 0) return options.kv_cache_memory_bytes;
  const int64_t positions = options.max_model_len > 0 ? options.max_model_len : config.max_position_embeddings;
  const int64_t wanted = options.max_num_seqs * PagesFor(positions) * model::PageBytes(config, dtype);
  return std::min(wanted, static_cast<int64_t>(node::AvailableMemoryBytes() / 4));
}

MicroBatchSetting SettingOf(const std::string& text) {
  if (text == "1") return MicroBatchSetting::kOne;
  return text == "2" ? MicroBatchSetting::kTwo : MicroBatchSetting::kAuto;
}

std::vector<int32_t> EndIds(const model::Checkpoint& checkpoint) {
  std::vector<int64_t> ids = checkpoint.config().eos_token_ids;
  const std::vector<int64_t>& more = checkpoint.generation().eos_token_ids;
  ids.insert(ids.end(), more.begin(), more.end());
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return {ids.begin(), ids.end()};
}

uint64_t WeightBytes(const AttentionShard& shard) {
  const model::HostMatrix& embedding = shard.embedding;
  return shard.packed.bytes() + static_cast<uint64_t>(embedding.rows * embedding.cols * DTypeBytes(embedding.dtype));
}

// Null where no constraint can be followed; the reason is said.
std::unique_ptr<Constraints> MakeConstraints(const model::Tokenizer* tokenizer) {
  if (tokenizer == nullptr) return nullptr;
  absl::StatusOr<model::grammar::Vocabulary> vocabulary = model::grammar::Vocabulary::Make(model::grammar::TokensOf(*tokenizer));
  if (vocabulary.ok()) return std::make_unique<Constraints>(*std::move(vocabulary));
  LogWarning("sequences with a constraint will be refused: ", vocabulary.status().message());
  return nullptr;
}

// A line every few seconds of a long load, and the last one.
class LoadLog {
 public:
  void operator()(const model::LoadProgress& progress) {
    const bool last = progress.bytes_done == progress.bytes_total;
    if (!last && progress.seconds < next_seconds_) return;
    next_seconds_ = progress.seconds + 2;
    LogInfo("loading weights: ", progress.ToString());
  }

 private:
  double next_seconds_ = 2;
};

}  // namespace

absl::StatusOr<std::unique_ptr<App>> App::Start(const AttentionOptions& options, node::StopSignal& stop) {
  ATOLL_ASSIGN_OR_RETURN(const node::NodeSettings settings, node::ReadNodeOptions(options.node, node::Role::kAttention));
  net::ApplyUcxSettings(settings.ucx);
  net::PrepareGrpc();
  std::unique_ptr<App> app(new App);
  ATOLL_ASSIGN_OR_RETURN(app->spans_, net::StartOtlpFromEnvironment("atoll-attention", {VersionText(), settings.node_id}));
  ATOLL_RETURN_IF_ERROR(app->OpenModel(options, settings));
  ATOLL_RETURN_IF_ERROR(app->MakeCore(options, settings));
  ATOLL_RETURN_IF_ERROR(app->OpenNetwork(options, settings));
  app->Join(options, settings, stop);
  return app;
}

absl::Status App::OpenModel(const AttentionOptions& options, const node::NodeSettings& settings) {
  ATOLL_ASSIGN_OR_RETURN(checkpoint_, model::Checkpoint::Open(options.node.model));
  pool_ = std::make_unique<kernels::ComputePool>(settings.pool);
  const kernels::Context context{settings.isa, pool_.get()};
  ATOLL_ASSIGN_OR_RETURN(numerics_fingerprint_, node::NumericsFingerprint(context, settings.activation_dtype));
  ATOLL_ASSIGN_OR_RETURN(shard_, LoadAttentionShard(*checkpoint_, context, LoadLog()));
  return absl::OkStatus();
}

absl::Status App::MakeCore(const AttentionOptions& options, const node::NodeSettings& settings) {
  ATOLL_ASSIGN_OR_RETURN(const model::FolderTokenizer tokenizer, model::FolderTokenizer::Load(options.node.model, {.ids_max = kTokenIdsMax}));
  CoreOptions core;
  core.max_num_seqs = static_cast<int32_t>(options.max_num_seqs);
  core.max_num_batched_tokens = static_cast<int32_t>(options.max_num_batched_tokens);
  core.max_model_len = static_cast<int32_t>(options.max_model_len);
  core.pages = PagesIn(CacheBytes(options, shard_.config, settings.activation_dtype), shard_.config, settings.activation_dtype);
  core.max_queued = static_cast<int32_t>(options.max_queued);
  core.token_count = tokenizer.tokenizer() == nullptr ? 0 : tokenizer.tokenizer()->vocabulary_size();
  core.activation_dtype = settings.activation_dtype;
  core.micro_batches = SettingOf(options.micro_batches);
  ExpertClientOptions client;
  client.routing.roofline = MeasureRoofline(shard_, {settings.isa, pool_.get()}, settings.activation_dtype, clock_);
  client.routing.salt = static_cast<uint32_t>(std::hash<std::string>()(settings.node_id));
  LogInfo("reading an expert takes as long as computing ", client.routing.roofline.weights_us / client.routing.roofline.row_us, " rows");
  client_ = std::make_unique<ExpertClient>(client, clock_);
  service_ = std::make_unique<AttentionService>(clock_);
  constraints_ = MakeConstraints(tokenizer.tokenizer());
  ATOLL_ASSIGN_OR_RETURN(core_, AttentionCore::Create(core, {.shard = &shard_,
                                                             .eos_ids = EndIds(*checkpoint_),
                                                             .kernels = {settings.isa, pool_.get()},
                                                             .exchange = client_.get(),
                                                             .sink = service_.get(),
                                                             .clock = &clock_,
                                                             .constraints = constraints_.get(),
                                                             .tracer = net::TracerOf(spans_)}));
  LogInfo(core_->options().pages, " pages of ", kPagePositions, " positions, ", core_->options().max_num_seqs, " sequences, ",
          core_->options().max_num_batched_tokens, " rows per step");
  service_->SetCore(core_.get());
  return absl::OkStatus();
}

absl::Status App::OpenNetwork(const AttentionOptions& options, const node::NodeSettings& settings) {
  ATOLL_ASSIGN_OR_RETURN(host_, net::OpenUcxHost(settings.links, settings.ucx, *client_));
  client_->SetHost(host_.get());
  ticker_ = std::make_unique<net::LinkTicker>(*host_);
  ATOLL_ASSIGN_OR_RETURN(server_, net::GrpcServer::Start({.listen = options.node.listen}, {service_->service()}));
  stepper_ = std::thread([this] { StepLoop(); });
  return absl::OkStatus();
}

void App::Join(const AttentionOptions& options, const node::NodeSettings& settings, node::StopSignal& stop) {
  PeerConnectorOptions connector;
  connector.caller.caller_node_id = settings.node_id;
  connector.caller.caller_incarnation = settings.incarnation;
  connector.caller.terms = node::TermsOf(shard_.config, checkpoint_->fingerprint(), settings.activation_dtype);
  connector_ = std::make_unique<PeerConnector>(std::move(connector), *client_);
  const std::string control_address = node::AdvertisedAddress(options.node, server_->address());
  membership_ = std::make_unique<Membership>(MembershipParts{core_.get(), client_.get(), connector_.get(), &stop, control_address, WeightBytes(shard_)});
  node::ClusterClientOptions cluster;
  cluster.router_address = options.node.router;
  cluster.identity = node::IdentityOf(settings, control_address);
  cluster.identity.model_fingerprint = checkpoint_->fingerprint();
  cluster.identity.numerics_fingerprint = numerics_fingerprint_;
  cluster.model = shard_.config;
  cluster_ = std::make_unique<node::ClusterClient>(std::move(cluster), membership_.get());
  cluster_->Start();
}

void App::StepLoop() {
  pool_->PinCaller();
  while (!stopping_) core_->RunOnce(kIdleWait);
}

void App::RefreshHealth() {
  const bool stuck = turns_.IsStuck(core_->load().turns, clock_.NowNs());
  server_->SetServing("", !stuck);
  server_->SetServing(kHealthName, !stuck && cluster_->joined() && client_->Report().epoch_ready > 0);
}

App::~App() {
  if (server_ != nullptr) server_->SetServing(kHealthName, false);
  if (cluster_ != nullptr) cluster_->Stop("the process ends");
  connector_ = nullptr;
  if (service_ != nullptr) service_->EndStreams(absl::UnavailableError("the attention node is shutting down"));
  stopping_ = true;
  if (host_ != nullptr) host_->Wake();
  if (stepper_.joinable()) stepper_.join();
  if (server_ != nullptr) server_->Shutdown(std::chrono::milliseconds(100));
  ticker_ = nullptr;
  host_ = nullptr;  // says goodbye on all links
}

}  // namespace atoll::attention_node
