#include "router/inference/inference_service.h"

#include <utility>

#include "atoll/v1/inference.grpc.pb.h"
#include "base/error_info.h"
#include "net/grpc/deadline.h"
#include "net/grpc/single_request.h"
#include "net/grpc/status_map.h"
#include "net/grpc/trace_metadata.h"
#include "router/inference/messages_service.h"

namespace atoll::router {
namespace {

absl::Status WorkerFull() {
  return WithErrorInfo(absl::ResourceExhaustedError("too many long texts wait to be tokenized; try again later"),
                       {.reason = "TOO_MANY_LONG_TEXTS", .metadata = {}, .retry_after_ms = 500});
}

// Runs `work` here, or on the worker where the text is long; false when the worker is full.
bool RunByLength(Worker* worker, size_t text_bytes, std::function<void()> work) {
  if (text_bytes > kLongTextBytes) return worker->TryRun(std::move(work));
  work();
  return true;
}

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
    const std::shared_ptr<RequestStream> stream = Stream();  // this reactor may be gone before the call below returns
    stream->OnWriteDone(ok);
  }
  void OnCancel() override {
    std::shared_ptr<RequestStream> stream;
    {
      std::lock_guard lock(mutex_);
      cancelled_ = true;
      stream = stream_;
    }
    if (stream != nullptr) stream->Fail(WhyCancelled());
  }

 private:
  void OnRequest(const v1::GenerateRequest& request) override {
    with_logprobs_ = request.has_logprobs();
    GenerateCall call = ReadCall(request);
    call.deadline_ms = net::RemainingMs(*context_);
    call.trace = ReadRequestTrace(net::OnlyMetadata(*context_, "traceparent"), net::OnlyMetadata(*context_, "tracestate"));
    const auto start = [this, call = std::move(call)]() mutable { Start(std::move(call)); };
    if (!RunByLength(worker_, TextBytes(request), start)) Finish(net::ToGrpcStatus(WorkerFull()));
  }
  void Start(GenerateCall call) {
    const absl::Status status = front_door_->Generate(std::move(call), this, [this](std::shared_ptr<RequestStream> stream) { OnStarted(std::move(stream)); });
    if (!status.ok()) Finish(net::ToGrpcStatus(status));
  }
  void OnStarted(std::shared_ptr<RequestStream> stream) {
    request_id_ = stream->request().request_id;
    bool cancelled = false;
    {
      std::lock_guard lock(mutex_);
      stream_ = stream;
      cancelled = cancelled_;
    }
    if (cancelled) stream->Fail(WhyCancelled());
  }
  // gRPC cancels a call whose deadline passes, too.
  absl::Status WhyCancelled() const {
    if (net::RemainingMs(*context_).value_or(1) > 0) return absl::CancelledError("the client has left");
    return absl::DeadlineExceededError("the call's deadline has passed");
  }
  std::shared_ptr<RequestStream> Stream() {
    std::lock_guard lock(mutex_);
    return stream_;
  }

  const grpc::CallbackServerContext* const context_;
  FrontDoor* const front_door_;
  Worker* const worker_;
  bool with_logprobs_ = false;
  std::string request_id_;
  v1::GenerateResponse response_;  // of the one write in flight
  std::mutex mutex_;
  std::shared_ptr<RequestStream> stream_;  // guarded by mutex_; shared with the attention client that feeds it
  bool cancelled_ = false;                 // guarded by mutex_
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
    if (!RunByLength(worker_, TextBytes(request), tokenize)) done(WorkerFull());
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
