#include "router/vllm/generate_service.h"

#include <grpcpp/alarm.h>

#include <chrono>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/grpc/deadline.h"
#include "net/grpc/status_map.h"
#include "net/grpc/trace_metadata.h"
#include "router/vllm/generate_messages_service.h"

namespace atoll::router {
namespace {

namespace engine = vllm::grpc::engine;

constexpr char kAborted[] = "ABORTED_BY_CLIENT";

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool EndedByAbort(const absl::Status& status) {
  const std::optional<ErrorInfo> info = GetErrorInfo(status);
  return info && info->reason == kAborted;
}

absl::Status TooLarge() {
  return absl::InvalidArgumentError(absl::StrCat("the outputs have more than ", kWholeOutputBytesMax, " bytes; ask for less, or for a stream"));
}

// gRPC's from the first reaction until OnDone.
class GenerateReactor final : public net::SingleRequestReactor<engine::GenerateRequest, engine::GenerateResponse>, public ResponseSink {
 public:
  GenerateReactor(const grpc::CallbackServerContext* context, VllmCalls* calls)
      : context_(context), calls_(calls), started_(std::make_shared<StartedStream>()) {}

  // A delta becomes any number of messages, which go out one after the other before the next delta is asked for.
  void Write(const ResponseDelta& delta) override {
    outgoing_.clear();
    sent_ = 0;
    last_ = delta.summary != nullptr;
    if (!answer_->Take(delta, outgoing_)) return RefuseTooLarge();
    if (!outgoing_.empty()) return SendNext();
    OnWritten([stream = started_->get()] { stream->OnWriteDone(true); });
  }

  void End(const absl::Status& status) override {
    if (!EndedByAbort(status)) return Finish(net::ToGrpcStatus(status));
    outgoing_.clear();
    sent_ = 0;
    last_ = true;
    answer_->Abort(outgoing_);
    SendNext();
  }

  void OnWriteDone(bool ok) override {
    if (ok && sent_ < outgoing_.size()) return SendNext();
    if (last_) return Finish({grpc::CANCELLED, "the client has left"});
    const std::shared_ptr<RequestStream> stream = started_->get();  // this reactor may be gone before the call below returns
    stream->OnWriteDone(ok);
  }
  void OnCancel() override { started_->Fail(net::WhyCancelled(*context_)); }
  void OnDone() override {
    calls_->running.Remove(request_id_, started_.get());
    SingleRequestReactor::OnDone();
  }

 private:
  void OnRequest(const engine::GenerateRequest& request) override {
    calls_->last_received_ms = NowMs();
    absl::StatusOr<GenerateCall> call = ReadVllmCall(request);
    if (!call.ok()) return Finish(net::ToGrpcStatus(call.status()));
    call->deadline_ms = net::RemainingMs(*context_);
    call->trace = ReadRequestTrace(net::OnlyMetadata(*context_, "traceparent"), net::OnlyMetadata(*context_, "tracestate"));
    answer_.emplace(request);
    request_id_ = request.request_id();
    if (!request_id_.empty()) calls_->running.Add(request_id_, started_);
    const size_t text_bytes = request.text().size();
    auto start = [this, call = *std::move(call)]() mutable { Start(std::move(call)); };
    if (const absl::Status status = calls_->worker->RunByLength(text_bytes, std::move(start)); !status.ok()) Finish(net::ToGrpcStatus(status));
  }

  void Start(GenerateCall call) {
    const absl::Status status = calls_->front_door->Generate(std::move(call), this, [this](std::shared_ptr<RequestStream> stream) {
      answer_->Begin(stream->request());
      started_->Set(std::move(stream));
    });
    if (!status.ok()) Finish(net::ToGrpcStatus(status));
  }

  void SendNext() {
    engine::GenerateResponse& message = outgoing_[sent_++];
    if (last_ && sent_ == outgoing_.size()) return StartWriteAndFinish(&message, grpc::WriteOptions(), grpc::Status::OK);
    StartWrite(&message);  // without a hint to buffer it: its end would be told when something else flushes the connection
  }

  void RefuseTooLarge() {
    if (last_) return Finish(net::ToGrpcStatus(TooLarge()));
    OnWritten([stream = started_->get()] {
      stream->Fail(TooLarge());
      stream->OnWriteDone(false);
    });
  }

  // Nothing is written, but the stream must hear of it from another place, where its lock is not held. A new alarm each time: the
  // last one may be what is calling.
  void OnWritten(std::function<void()> tell) {
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(std::chrono::system_clock::now(), [tell = std::move(tell)](bool) { tell(); });
  }

  const grpc::CallbackServerContext* const context_;
  VllmCalls* const calls_;
  const std::shared_ptr<StartedStream> started_;  // shared with the calls that run
  std::string request_id_;
  std::optional<VllmAnswer> answer_;
  VllmResponses outgoing_;  // of the one delta that is being written
  size_t sent_ = 0;
  bool last_ = false;
  std::unique_ptr<grpc::Alarm> alarm_;
};

}  // namespace

net::SingleRequestReactor<engine::GenerateRequest, engine::GenerateResponse>* NewGenerateReactor(const grpc::CallbackServerContext* context,
                                                                                                  VllmCalls* calls) {
  return new GenerateReactor(context, calls);
}

void AbortCalls(const std::string& request_id, VllmCalls& calls) {
  const absl::Status why = WithErrorInfo(absl::CancelledError("the client has aborted the request"),
                                         {.reason = kAborted, .metadata = {}, .retry_after_ms = {}});
  calls.running.Fail(request_id, why);
}

}  // namespace atoll::router
