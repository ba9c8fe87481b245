#include "router/inference/inference_service.h"

#include <utility>

#include "atoll/v1/inference.grpc.pb.h"
#include "net/grpc/deadline.h"
#include "net/grpc/single_request.h"
#include "net/grpc/status_map.h"
#include "net/grpc/trace_metadata.h"
#include "router/inference/messages_service.h"
#include "router/inference/started_stream.h"

namespace atoll::router {
namespace {

size_t TextBytes(const v1::Chat& chat) {
  size_t bytes = 0;
  for (const v1::ChatMessage& message : chat.messages()) bytes += message.content().size();
  return bytes;
}

template <typename Message>
size_t TextBytes(const Message& request) {
  return request.has_chat() ? TextBytes(request.chat()) : request.text().size();
}

// One Generate call; gRPC's from the first reaction until OnDone.
class GenerateReactor final : public net::SingleRequestReactor<v1::GenerateRequest, v1::GenerateResponse>, public ResponseSink {
 public:
  GenerateReactor(const grpc::CallbackServerContext* context, FrontDoor* front_door, Worker* worker)
      : context_(context), front_door_(front_door), worker_(worker) {}

  void Write(const ResponseDelta& delta) override {
    response_.Clear();
    response_.set_request_id(request_id_);
    FillResponse(delta, with_logprobs_, response_);
    if (delta.summary != nullptr) {
      StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      StartWrite(&response_);
    }
  }
  void End(const absl::Status& status) override { Finish(net::ToGrpcStatus(status)); }

  void OnWriteDone(bool ok) override {
    const std::shared_ptr<RequestStream> stream = stream_.get();  // this reactor may be gone before the call below returns
    stream->OnWriteDone(ok);
  }
  void OnCancel() override { stream_.Fail(net::WhyCancelled(*context_)); }

 private:
  void OnRequest(const v1::GenerateRequest& request) override {
    with_logprobs_ = request.has_logprobs();
    GenerateCall call = ReadCall(request);
    call.deadline_ms = net::RemainingMs(*context_);
    call.trace = ReadRequestTrace(net::OnlyMetadata(*context_, "traceparent"), net::OnlyMetadata(*context_, "tracestate"));
    auto start = [this, call = std::move(call)]() mutable { Start(std::move(call)); };
    if (const absl::Status status = worker_->RunByLength(TextBytes(request), std::move(start)); !status.ok()) Finish(net::ToGrpcStatus(status));
  }
  void Start(GenerateCall call) {
    const absl::Status status = front_door_->Generate(std::move(call), this, [this](std::shared_ptr<RequestStream> stream) { OnStarted(std::move(stream)); });
    if (!status.ok()) Finish(net::ToGrpcStatus(status));
  }
  void OnStarted(std::shared_ptr<RequestStream> stream) {
    request_id_ = stream->request().request_id;
    stream_.Set(std::move(stream));
  }

  const grpc::CallbackServerContext* const context_;
  FrontDoor* const front_door_;
  Worker* const worker_;
  bool with_logprobs_ = false;
  std::string request_id_;
  v1::GenerateResponse response_;  // of the one write in flight
  StartedStream stream_;
};

class InferenceServiceImpl final : public net::SingleRequestService {
 public:
  InferenceServiceImpl(FrontDoor* front_door, Worker* worker) : front_door_(front_door), worker_(worker) {
    Add<v1::GenerateRequest, v1::GenerateResponse>("/atoll.v1.InferenceService/Generate", [this](grpc::CallbackServerContext* context) {
      return new GenerateReactor(context, front_door_, worker_);
    });
    AddUnary<v1::TokenizeRequest, v1::TokenizeResponse>(
        "/atoll.v1.InferenceService/Tokenize", [this](const auto& request, auto& response, auto done) { Tokenize(request, response, std::move(done)); });
    AddUnary<v1::DetokenizeRequest, v1::DetokenizeResponse>(
        "/atoll.v1.InferenceService/Detokenize", [this](const auto& request, auto& response, auto done) { done(Detokenize(request, response)); });
    AddUnary<v1::GetModelRequest, v1::GetModelResponse>("/atoll.v1.InferenceService/GetModel", [this](const auto&, auto& response, auto done) {
      FillModel(*front_door_, response);
      done(absl::OkStatus());
    });
  }

 private:
  void Tokenize(const v1::TokenizeRequest& request, v1::TokenizeResponse& response, std::function<void(const absl::Status&)> done) {
    const auto tokenize = [this, &request, &response, done] {
      const absl::StatusOr<std::vector<int32_t>> ids = front_door_->Tokenize(ReadTokenize(request));
      if (ids.ok()) response.mutable_ids()->Assign(ids->begin(), ids->end());
      done(ids.status());
    };
    if (const absl::Status status = worker_->RunByLength(TextBytes(request), tokenize); !status.ok()) done(status);
  }
  absl::Status Detokenize(const v1::DetokenizeRequest& request, v1::DetokenizeResponse& response) {
    const absl::StatusOr<std::string> text = front_door_->Detokenize({request.ids().begin(), request.ids().end()});
    if (text.ok()) response.set_text(*text);
    return text.status();
  }
  static void FillModel(const FrontDoor& front_door, v1::GetModelResponse& to) {
    const ServedModel& model = front_door.model();
    to.set_name(model.name());
    to.set_context_length(front_door.context_length());
    to.set_vocabulary_size(static_cast<int32_t>(model.config().vocab_size));
    to.set_has_tokenizer(model.tokenizer() != nullptr);
    if (const auto chat = model.ForChat(); chat.ok()) to.set_chat_format(std::string((*chat)->name()));
    to.set_layers(static_cast<int32_t>(model.config().num_hidden_layers));
    to.set_experts(static_cast<int32_t>(model.config().gate.n_routed_experts));
    to.set_experts_per_token(static_cast<int32_t>(model.config().gate.num_experts_per_tok));
    to.mutable_eos_token_ids()->Assign(model.eos_ids().begin(), model.eos_ids().end());
  }

  FrontDoor* const front_door_;
  Worker* const worker_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeInferenceService(FrontDoor* front_door, Worker* worker) {
  return std::make_unique<InferenceServiceImpl>(front_door, worker);
}

}  // namespace atoll::router
