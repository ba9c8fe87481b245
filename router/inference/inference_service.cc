#include "router/inference/inference_service.h"

#include <utility>

#include "atoll/v1/inference.grpc.pb.h"
#include "base/error_info.h"
#include "net/grpc/deadline.h"
#include "net/grpc/status_map.h"
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

// One Generate call; gRPC's from the first reaction until OnDone.
class GenerateReactor final : public grpc::ServerWriteReactor<v1::GenerateResponse>, public ResponseSink {
 public:
  GenerateReactor(const grpc::CallbackServerContext* context, bool with_logprobs) : context_(context), with_logprobs_(with_logprobs) {}

  void Start(FrontDoor& front_door, GenerateCall call) {
    const absl::Status status = front_door.Generate(std::move(call), this, [this](std::shared_ptr<RequestStream> stream) { OnStarted(std::move(stream)); });
    if (!status.ok()) Finish(net::ToGrpcStatus(status));
  }

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
  void OnDone() override { delete this; }

 private:
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
  const bool with_logprobs_;
  std::string request_id_;
  v1::GenerateResponse response_;  // of the one write in flight
  std::mutex mutex_;
  std::shared_ptr<RequestStream> stream_;  // guarded by mutex_; shared with the attention client that feeds it
  bool cancelled_ = false;                 // guarded by mutex_
};

class InferenceServiceImpl final : public v1::InferenceService::CallbackService {
 public:
  InferenceServiceImpl(FrontDoor* front_door, Worker* worker) : front_door_(front_door), worker_(worker) {}

  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(grpc::CallbackServerContext* context, const v1::GenerateRequest* request) override {
    auto* reactor = new GenerateReactor(context, request->has_logprobs());
    GenerateCall call = ReadCall(*request);
    call.deadline_ms = net::RemainingMs(*context);
    const size_t text_bytes = request->has_chat() ? TextBytes(request->chat()) : request->text().size();
    const auto start = [this, reactor, call = std::move(call)]() mutable { reactor->Start(*front_door_, std::move(call)); };
    if (!RunByLength(worker_, text_bytes, start)) reactor->Finish(net::ToGrpcStatus(WorkerFull()));
    return reactor;
  }

  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context, const v1::TokenizeRequest* request,
                                     v1::TokenizeResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto tokenize = [this, reactor, request, response] {
      const absl::StatusOr<std::vector<int32_t>> ids = front_door_->Tokenize(ReadTokenize(*request));
      if (ids.ok()) response->mutable_ids()->Assign(ids->begin(), ids->end());
      reactor->Finish(net::ToGrpcStatus(ids.status()));
    };
    const size_t text_bytes = request->has_chat() ? TextBytes(request->chat()) : request->text().size();
    if (!RunByLength(worker_, text_bytes, tokenize)) reactor->Finish(net::ToGrpcStatus(WorkerFull()));
    return reactor;
  }

  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context, const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override {
    const absl::StatusOr<std::string> text = front_door_->Detokenize({request->ids().begin(), request->ids().end()});
    if (text.ok()) response->set_text(*text);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(net::ToGrpcStatus(text.status()));
    return reactor;
  }

  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context, const v1::GetModelRequest*,
                                     v1::GetModelResponse* response) override {
    FillModel(*front_door_, *response);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
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
