#include "attention_node/control/attention_service.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "atoll/v1/attention.grpc.pb.h"
#include "attention_node/control/step_trace_service.h"
#include "base/log.h"
#include "net/grpc/bidi_server_stream.h"

namespace atoll::attention_node {
namespace {

using RunStream = net::BidiServerStream<v1::RunRequest, v1::RunResponse>;

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kNsPerUs = 1'000;

template <typename To, typename From>
std::vector<To> ToVector(const From& from) {
  return std::vector<To>(from.begin(), from.end());
}

SamplingRequest FromProto(const v1::Sampling& proto) {
  SamplingRequest sampling{.temperature = proto.temperature(),
                           .top_p = proto.top_p(),
                           .top_k = proto.top_k(),
                           .min_p = proto.min_p(),
                           .presence_penalty = proto.presence_penalty(),
                           .frequency_penalty = proto.frequency_penalty(),
                           .repetition_penalty = proto.repetition_penalty(),
                           .logit_bias = {},
                           .seed = proto.seed()};
  for (const auto& [token, bias] : proto.logit_bias()) sampling.logit_bias.emplace_back(token, bias);
  std::sort(sampling.logit_bias.begin(), sampling.logit_bias.end());
  return sampling;
}

model::ToolCallsOnly FromProto(const v1::ToolCalls& proto) {
  model::ToolCallsOnly calls;
  calls.style = proto.style() == v1::TOOL_CALL_STYLE_DEEPSEEK_V31 ? model::ToolCallStyle::kDeepSeekV31 : model::ToolCallStyle::kDeepSeekV3;
  for (const v1::ToolSignature& tool : proto.tools()) calls.tools.push_back({tool.name(), tool.parameters()});
  calls.several = proto.several();
  calls.optional = proto.optional();
  return calls;
}

model::Constraint FromProto(const v1::Constraint& proto) {
  model::Constraint constraint;
  if (proto.has_json_schema()) constraint.kind = model::JsonSchema{proto.json_schema()};
  if (proto.has_tool_calls()) constraint.kind = FromProto(proto.tool_calls());
  constraint.after_thinking = proto.after_thinking();
  return constraint;
}

SequenceRequest FromProto(const v1::SubmitSequence& proto, uint64_t stream, int64_t now_ns) {
  SequenceRequest request;
  request.key = {stream, proto.sequence_id()};
  request.request_id = proto.request_id();
  request.sequence_index = proto.sequence_index();
  request.prompt_ids = ToVector<int32_t>(proto.prompt_ids());
  request.generated_ids = ToVector<int32_t>(proto.generated_ids());
  request.sampling = FromProto(proto.sampling());
  request.max_tokens = proto.max_tokens();
  request.min_tokens = proto.min_tokens();
  request.stop_token_ids = ToVector<int32_t>(proto.stop_token_ids());
  request.ignore_eos = proto.ignore_eos();
  request.logprobs = proto.logprobs();
  request.prompt_logprobs = proto.prompt_logprobs();
  request.report_times = proto.report_times();
  if (proto.has_constraint()) request.constraint = FromProto(proto.constraint());
  request.probe = proto.probe();
  request.trace = trace::ParseTraceparent(proto.traceparent()).value_or(trace::TraceContext{});
  if (proto.deadline_ms() > 0) request.deadline_ns = now_ns + proto.deadline_ms() * kNsPerMs;
  return request;
}

v1::EndReason ToProto(EndReason reason) {
  switch (reason) {
    case EndReason::kStop: return v1::END_REASON_STOP;
    case EndReason::kLength: return v1::END_REASON_LENGTH;
    case EndReason::kFailed: return v1::END_REASON_FAILED;
    case EndReason::kCancelled: return v1::END_REASON_CANCELLED;
  }
  return v1::END_REASON_UNSPECIFIED;
}

void ToProto(const StageTimes& times, v1::StageTimes* proto) {
  proto->set_queue_us(times.queue_ns / kNsPerUs);
  proto->set_attention_us(times.attention_ns / kNsPerUs);
  proto->set_dispatch_us(times.dispatch_ns / kNsPerUs);
  proto->set_experts_us(times.experts_ns / kNsPerUs);
  proto->set_combine_us(times.combine_ns / kNsPerUs);
  proto->set_sampling_us(times.sampling_ns / kNsPerUs);
  proto->set_steps(times.steps);
  proto->set_preemptions(times.preemptions);
}

void ToProto(const SequenceEnd& end, v1::SequenceEnd* proto) {
  proto->set_reason(ToProto(end.reason));
  proto->set_code(static_cast<int32_t>(end.status.code()));
  proto->set_message(std::string(end.status.message()));
  ToProto(end.times, proto->mutable_times());
}

void ToProto(const SampledToken& token, v1::SampledToken* proto) {
  proto->set_token_id(token.token_id);
  proto->set_logprob(token.logprob);
  proto->mutable_top_ids()->Add(token.top_ids.begin(), token.top_ids.end());
  proto->mutable_top_logprobs()->Add(token.top_logprobs.begin(), token.top_logprobs.end());
}

void ToProto(const SequenceEvent& event, v1::SequenceEvent* proto) {
  proto->set_sequence_id(event.key.id);
  for (const SampledToken& token : event.tokens) ToProto(token, proto->add_tokens());
  for (const SampledToken& token : event.prompt) ToProto(token, proto->add_prompt());
  if (event.end) ToProto(*event.end, proto->mutable_end());
  if (event.times) ToProto(*event.times, proto->mutable_times());
}

}  // namespace

class AttentionService::Impl final : public v1::AttentionService::CallbackService {
 public:
  explicit Impl(const Clock& clock) : clock_(clock) {}

  void SetCore(AttentionCore* core) { core_ = core; }

  grpc::ServerBidiReactor<v1::RunRequest, v1::RunResponse>* Run(grpc::CallbackServerContext*) override {
    const std::shared_ptr<RunStream> stream = RunStream::Make(kStepsQueuedMax);
    uint64_t id = 0;
    absl::Status ended;
    {
      std::lock_guard lock(mutex_);
      ended = ended_;
      id = next_stream_++;
      if (ended.ok()) streams_.emplace(id, stream);
    }
    stream->Start({.on_message = [this, id](v1::RunRequest& request) { OnRequest(id, request); }, .on_end = [this, id] { OnStreamEnd(id); }});
    if (!ended.ok()) stream->End(ended);
    return stream->reactor();
  }

  grpc::ServerUnaryReactor* TraceStep(grpc::CallbackServerContext*, const v1::TraceStepRequest* request, v1::TraceStepResponse* response) override {
    return AnswerWithStepTrace(*request, *response, core_->recorder());
  }

  void OnEvents(std::span<SequenceEvent> events) {
    std::map<uint64_t, v1::RunResponse> by_stream;
    for (const SequenceEvent& event : events) ToProto(event, by_stream[event.key.stream].add_events());
    for (auto& [stream, response] : by_stream) SendTo(stream, std::move(response));
  }

  void EndStreams(const absl::Status& status) {
    std::map<uint64_t, std::shared_ptr<RunStream>> streams;
    {
      std::lock_guard lock(mutex_);
      ended_ = status;
      streams = streams_;
    }
    for (const auto& [id, stream] : streams) stream->End(status);
  }

 private:
  void OnRequest(uint64_t stream, const v1::RunRequest& request) {
    if (request.has_cancel()) return core_->Cancel({stream, request.cancel().sequence_id()});
    if (!request.has_submit()) return;
    const absl::Status submitted = core_->Submit(FromProto(request.submit(), stream, clock_.NowNs()));
    if (submitted.ok()) return;
    v1::RunResponse response;
    ToProto(SequenceEvent{{stream, request.submit().sequence_id()}, {}, SequenceEnd{EndReason::kFailed, submitted, {}}, {}}, response.add_events());
    SendTo(stream, std::move(response));
  }

  void OnStreamEnd(uint64_t stream) {
    {
      std::lock_guard lock(mutex_);
      streams_.erase(stream);
    }
    core_->CancelStream(stream);
  }

  void SendTo(uint64_t stream, v1::RunResponse response) {
    std::shared_ptr<RunStream> target;
    {
      std::lock_guard lock(mutex_);
      if (const auto found = streams_.find(stream); found != streams_.end()) target = found->second;
    }
    if (target == nullptr || target->Send(std::move(response))) return;
    target->End(absl::ResourceExhaustedError(absl::StrCat("the router does not read: ", kStepsQueuedMax, " messages wait for it")));
  }

  const Clock& clock_;
  AttentionCore* core_ = nullptr;
  std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<RunStream>> streams_;  // guarded by mutex_; gRPC holds them too, until they are over
  uint64_t next_stream_ = 1;                                // guarded by mutex_
  absl::Status ended_;                                      // guarded by mutex_; not OK: no further streams
};

AttentionService::AttentionService(const Clock& clock) : impl_(std::make_unique<Impl>(clock)) {}
AttentionService::~AttentionService() = default;
void AttentionService::SetCore(AttentionCore* core) { impl_->SetCore(core); }
grpc::Service* AttentionService::service() { return impl_.get(); }
void AttentionService::OnEvents(std::span<SequenceEvent> events) { impl_->OnEvents(events); }
void AttentionService::EndStreams(const absl::Status& status) { impl_->EndStreams(status); }

}  // namespace atoll::attention_node
