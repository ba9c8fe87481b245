#include "cli/load/grpc_load_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>


#include "atoll/v1/inference.grpc.pb.h"
#include "cli/load/running_calls.h"
#include "cli/router_client.h"
#include "net/grpc/channel.h"
#include "net/grpc/server.h"
#include "net/grpc/status_map.h"

namespace atoll::load {
namespace {

constexpr int64_t kStreamsPerConnection = 512;
constexpr int64_t kStatusTimeoutMs = 5000;

v1::GenerateRequest ToRequest(const LoadCall& call) {
  v1::GenerateRequest request;
  request.set_request_id(call.request_id);
  if (const auto* text = std::get_if<cli::TextInput>(&call.input)) request.set_text(text->text);
  if (const auto* ids = std::get_if<cli::IdsInput>(&call.input)) request.mutable_token_ids()->mutable_ids()->Add(ids->ids.begin(), ids->ids.end());
  if (const auto* chat = std::get_if<cli::ChatInput>(&call.input)) {
    for (const cli::ChatTurn& turn : chat->turns) {
      v1::ChatMessage* message = request.mutable_chat()->add_messages();
      message->set_role(turn.role);
      message->set_content(turn.content);
    }
  }
  request.mutable_sampling()->set_temperature(static_cast<float>(call.temperature));
  request.mutable_sampling()->set_seed(call.seed);
  request.mutable_stopping()->set_max_tokens(call.max_tokens);
  request.mutable_stopping()->set_ignore_eos(call.ignore_eos);
  return request;
}

// A refusal is what the server itself says of its load or its readiness, before it has begun.
bool IsRefusal(const absl::Status& status, const std::string& reason) {
  return absl::IsResourceExhausted(status) || (absl::IsUnavailable(status) && (reason == "NOT_READY" || reason == "DRAINING"));
}

void SetStatus(const absl::Status& status, CallEnd* end) {
  const std::optional<ErrorInfo> info = GetErrorInfo(status);
  end->ok = status.ok();
  end->code = std::string(net::StatusCodeName(status.code()));
  end->message = std::string(status.message());
  if (info) end->reason = info->reason;
  end->refusal = IsRefusal(status, end->reason);
}

// One streamed request; in the list of running calls until OnDone.
class StreamCall final : public grpc::ClientReadReactor<v1::GenerateResponse> {
 public:
  StreamCall(const LoadCall& call, LoadListener* listener, RunningCalls<StreamCall>* running)
      : index_(call.index), request_(ToRequest(call)), listener_(listener), running_(running) {}

  void Begin(v1::InferenceService::Stub& stub) {
    stub.async()->Generate(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    int64_t tokens = 0;
    for (const v1::Choice& choice : response_.choices()) tokens += choice.token_ids_size();
    if (response_.has_usage()) TakeSummary();
    if (tokens > 0 && !listener_->OnTokens(index_, tokens)) Cancel();
    StartRead(&response_);
  }

  void TakeSummary() {
    end_.prompt_tokens = response_.usage().prompt_tokens();
    end_.completion_tokens = response_.usage().completion_tokens();
    end_.server_queue_us = response_.timing().queue_us();
    end_.server_first_us = response_.timing().first_token_us();
    end_.server_total_us = response_.timing().total_us();
  }

  void OnDone(const grpc::Status& status) override {
    SetStatus(net::FromGrpcStatus(status), &end_);
    listener_->OnEnd(index_, end_);
    (void)running_->Remove(index_);  // ends this object
  }

  const uint64_t index_;
  grpc::ClientContext context_;
  const v1::GenerateRequest request_;
  v1::GenerateResponse response_;  // read into again and again, so that its parts are allocated once
  CallEnd end_;
  LoadListener* const listener_;
  RunningCalls<StreamCall>* const running_;
};

class GrpcTarget final : public LoadTarget {
 public:
  GrpcTarget(const std::string& address, int64_t in_flight_max) : address_(address), router_(address) {
    for (int64_t streams = 0; streams < in_flight_max; streams += kStreamsPerConnection) {
      channels_.push_back(net::MakeChannel(address));
      stubs_.push_back(v1::InferenceService::NewStub(channels_.back()));
    }
  }
  ~GrpcTarget() override { running_.CancelAllAndWait(); }

  // Connects as well, so that no request pays for that.
  absl::StatusOr<TargetFacts> Describe() override {
    ATOLL_ASSIGN_OR_RETURN(const cli::ModelCard card, router_.GetModel());
    const auto deadline = std::chrono::system_clock::now() + std::chrono::milliseconds(kStatusTimeoutMs);
    for (const auto& channel : channels_)
      if (!channel->WaitForConnected(deadline)) return absl::UnavailableError(absl::StrCat("no connection to ", address_, " within ", kStatusTimeoutMs, " ms"));
    ATOLL_ASSIGN_OR_RETURN(const cli::ClusterStatus status, router_.GetStatus(false, kStatusTimeoutMs));
    if (!status.ready) return absl::UnavailableError(absl::StrCat("the cluster is not ready: ", status.not_ready_reason));
    TargetFacts facts{card.name, card.vocabulary_size, card.has_tokenizer, {}};
    for (const cli::NodeRow& node : status.nodes) facts.nodes.push_back(absl::StrCat(node.node_id, " (", node.role, ", ", node.backend, ")"));
    return facts;
  }

  absl::StatusOr<std::vector<int32_t>> Tokenize(const std::string& text) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(kStatusTimeoutMs));
    v1::TokenizeRequest request;
    request.set_text(text);
    v1::TokenizeResponse response;
    ATOLL_RETURN_IF_ERROR(net::FromGrpcStatus(stubs_[0]->Tokenize(&context, request, &response)));
    return std::vector<int32_t>(response.ids().begin(), response.ids().end());
  }

  absl::StatusOr<std::vector<std::pair<std::string, int64_t>>> Counters() override {
    ATOLL_ASSIGN_OR_RETURN(cli::ClusterStatus status, router_.GetStatus(false, kStatusTimeoutMs));
    std::erase_if(status.router, [](const auto& counter) { return counter.first == "uptime_ms" || counter.first == "requests_running"; });
    return status.router;
  }

  void Start(const LoadCall& call, LoadListener* listener) override {
    const auto started = std::make_shared<StreamCall>(call, listener, &running_);
    running_.Add(call.index, started);
    started->Begin(*stubs_[call.index % stubs_.size()]);
  }
  void Cancel(uint64_t index) override { running_.Cancel(index); }

 private:
  const std::string address_;
  cli::RouterClient router_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<v1::InferenceService::Stub>> stubs_;
  RunningCalls<StreamCall> running_;
};

}  // namespace

std::unique_ptr<LoadTarget> MakeGrpcTarget(const std::string& address, int64_t in_flight_max) {
  net::PrepareGrpc();
  return std::make_unique<GrpcTarget>(address, in_flight_max);
}

}  // namespace atoll::load
