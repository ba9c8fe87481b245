#include "cli/router_client.h"

#include <grpcpp/grpcpp.h>

#include <map>

#include "atoll/v1/cluster.grpc.pb.h"
#include "atoll/v1/inference.grpc.pb.h"
#include "net/grpc/status_map.h"

namespace atoll::cli {
namespace {

void SetDeadline(grpc::ClientContext* context, int64_t timeout_ms) {
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
}

void SetInput(const GenerateCall& call, v1::GenerateRequest* request) {
  if (const auto* text = std::get_if<TextInput>(&call.input)) request->set_text(text->text);
  if (const auto* ids = std::get_if<IdsInput>(&call.input)) {
    auto* list = request->mutable_token_ids()->mutable_ids();
    list->Add(ids->ids.begin(), ids->ids.end());
  }
  if (const auto* chat = std::get_if<ChatInput>(&call.input)) {
    if (chat->thinking) request->mutable_chat()->set_thinking(*chat->thinking);
    for (const ChatTurn& turn : chat->turns) {
      auto* message = request->mutable_chat()->add_messages();
      message->set_role(turn.role);
      message->set_content(turn.content);
    }
  }
}

void SetSampling(const GenerateCall& call, v1::SamplingParams* sampling) {
  if (call.temperature) sampling->set_temperature(static_cast<float>(*call.temperature));
  if (call.top_p) sampling->set_top_p(static_cast<float>(*call.top_p));
  if (call.top_k) sampling->set_top_k(static_cast<int32_t>(*call.top_k));
  if (call.min_p) sampling->set_min_p(static_cast<float>(*call.min_p));
  if (call.presence_penalty) sampling->set_presence_penalty(static_cast<float>(*call.presence_penalty));
  if (call.frequency_penalty) sampling->set_frequency_penalty(static_cast<float>(*call.frequency_penalty));
  if (call.repetition_penalty) sampling->set_repetition_penalty(static_cast<float>(*call.repetition_penalty));
  if (call.seed) sampling->set_seed(static_cast<uint64_t>(*call.seed));
  for (const auto& [id, bias] : call.logit_bias) (*sampling->mutable_logit_bias())[id] = bias;
}

v1::GenerateRequest ToRequest(const GenerateCall& call) {
  v1::GenerateRequest request;
  request.set_model(call.model);
  SetInput(call, &request);
  SetSampling(call, request.mutable_sampling());
  v1::StopConditions* stopping = request.mutable_stopping();
  if (call.max_tokens) stopping->set_max_tokens(*call.max_tokens);
  if (call.min_tokens) stopping->set_min_tokens(*call.min_tokens);
  for (const std::string& stop : call.stop) stopping->add_stop(stop);
  for (const int32_t id : call.stop_token_ids) stopping->add_stop_token_ids(id);
  stopping->set_ignore_eos(call.ignore_eos);
  if (call.n) request.set_n(static_cast<int32_t>(*call.n));
  if (call.logprobs) request.set_logprobs(static_cast<int32_t>(*call.logprobs));
  return request;
}

ChoicePiece ToPiece(const v1::Choice& choice) {
  ChoicePiece piece{choice.index(), choice.text(), {choice.token_ids().begin(), choice.token_ids().end()}, {}, ""};
  for (const auto& from : choice.logprobs()) {
    TokenLogprob logprob{from.token_id(), from.logprob(), {}};
    for (const auto& top : from.top()) logprob.top.emplace_back(top.token_id(), top.logprob());
    piece.logprobs.push_back(std::move(logprob));
  }
  if (choice.finish_reason() == v1::FINISH_REASON_STOP) piece.finish_reason = "stop";
  if (choice.finish_reason() == v1::FINISH_REASON_LENGTH) piece.finish_reason = "length";
  return piece;
}

Timing ToTiming(const v1::Timing& t) {
  return {{"queue_us", t.queue_us()}, {"first_token_us", t.first_token_us()}, {"total_us", t.total_us()},
          {"attention_us", t.attention_us()}, {"dispatch_us", t.dispatch_us()}, {"experts_us", t.experts_us()},
          {"combine_us", t.combine_us()}, {"sampling_us", t.sampling_us()}, {"steps", t.steps()}};
}

NodeRow ToRow(const v1::NodeStatus& n) {
  NodeRow row;
  row.role = n.role() == v1::NODE_ROLE_EXPERT ? "expert" : "attention";
  row.node_id = n.node_id();
  row.state = n.state();
  row.address = n.control_address();
  row.backend = n.backend();
  row.speed = n.speed();
  row.running = n.running();
  row.waiting = n.waiting();
  row.pages_free = n.pages_free();
  row.pages = n.pages();
  row.experts = n.experts();
  row.rows_run = static_cast<int64_t>(n.rows_run());
  row.heartbeat_age_ms = n.heartbeat_age_ms();
  row.loaded_bytes = n.loaded_bytes();
  row.memory_bytes = n.memory_bytes();
  row.epoch_ready = n.epoch_ready();
  return row;
}

std::vector<LayerLoad> ToLayers(const v1::GetStatusResponse& response) {
  std::map<uint32_t, LayerLoad> layers;
  for (const auto& counts : response.expert_counts()) {
    LayerLoad& load = layers[counts.layer()];
    load.rows.resize(static_cast<size_t>(std::max(counts.prompt_size(), counts.generated_size())));
    for (int e = 0; e < counts.prompt_size(); ++e) load.rows[static_cast<size_t>(e)] += counts.prompt(e);
    for (int e = 0; e < counts.generated_size(); ++e) load.rows[static_cast<size_t>(e)] += counts.generated(e);
  }
  for (const auto& balance : response.balance()) layers[balance.layer()].imbalance = balance.imbalance();
  std::vector<LayerLoad> list;
  for (auto& [layer, load] : layers) {
    load.layer = layer;
    list.push_back(std::move(load));
  }
  return list;
}

}  // namespace

struct RouterClient::Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : inference(v1::InferenceService::NewStub(channel)), cluster(v1::ClusterService::NewStub(channel)) {}
  std::unique_ptr<v1::InferenceService::Stub> inference;
  std::unique_ptr<v1::ClusterService::Stub> cluster;
};

RouterClient::RouterClient(const std::string& address)
    : stubs_(std::make_unique<Stubs>(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}
RouterClient::~RouterClient() = default;

absl::StatusOr<GenerateSummary> RouterClient::Generate(const GenerateCall& call,
                                                       const std::function<bool(const ChoicePiece&)>& on_piece) {
  grpc::ClientContext context;
  if (call.timeout_ms) SetDeadline(&context, *call.timeout_ms);
  const auto reader = stubs_->inference->Generate(&context, ToRequest(call));
  GenerateSummary summary;
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
    for (const v1::Choice& choice : response.choices())
      if (!on_piece(ToPiece(choice))) context.TryCancel();
    if (!response.has_usage()) continue;
    summary.usage = {response.usage().prompt_tokens(), response.usage().completion_tokens()};
    summary.timing = ToTiming(response.timing());
    summary.seed = response.seed();
  }
  ATOLL_RETURN_IF_ERROR(net::FromGrpcStatus(reader->Finish()));
  return summary;
}

absl::StatusOr<ClusterStatus> RouterClient::GetStatus(bool with_experts, int64_t timeout_ms) {
  grpc::ClientContext context;
  SetDeadline(&context, timeout_ms);
  v1::GetStatusRequest request;
  request.set_experts(with_experts);
  v1::GetStatusResponse response;
  ATOLL_RETURN_IF_ERROR(net::FromGrpcStatus(stubs_->cluster->GetStatus(&context, request, &response)));
  ClusterStatus status{response.model(), response.not_ready_reason(), response.not_exact_reason(), response.epoch(), response.ready(), response.exact(), {}, ToLayers(response), {}, ToBalancer(response.balancer()), {}};
  if (response.has_routing_bias()) status.routing_bias = ToRoutingBiasFigures(response.routing_bias());
  for (const auto& node : response.nodes()) status.nodes.push_back(ToRow(node));
  const v1::RouterStatus& router = response.router();
  status.router = {{"requests_running", router.requests_running()}, {"requests_total", router.requests_total()},
                   {"requests_refused", router.requests_refused()}, {"requests_failed", router.requests_failed()},
                   {"requests_cancelled", router.requests_cancelled()}, {"tokens_total", router.tokens_total()},
                   {"uptime_ms", router.uptime_ms()}};
  return status;
}

absl::StatusOr<ModelCard> RouterClient::GetModel() {
  grpc::ClientContext context;
  SetDeadline(&context, 5000);
  v1::GetModelResponse response;
  ATOLL_RETURN_IF_ERROR(net::FromGrpcStatus(stubs_->inference->GetModel(&context, {}, &response)));
  ModelCard card{response.name(), response.chat_format(), response.context_length(), response.vocabulary_size(),
                 response.layers(), response.experts(), response.experts_per_token(), response.has_tokenizer()};
  return card;
}

}  // namespace atoll::cli
