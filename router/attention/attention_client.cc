#include "router/attention/attention_client.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "atoll/v1/attention.grpc.pb.h"
#include "base/error_info.h"
#include "base/log.h"
#include "net/grpc/bidi_client.h"
#include "net/grpc/channel.h"
#include "router/attention/step_trace_client.h"

namespace atoll::router {
namespace {

// What may wait to be sent to a node that does not read.
constexpr size_t kSequencesMax = 16384;
constexpr size_t kQueuedMax = 4 * kSequencesMax;
constexpr int64_t kRetryAfterMs = 500;
constexpr size_t kFailureBytesMax = 1024;

void FillSampling(const Sampling& from, v1::Sampling& to) {
  to.set_temperature(from.temperature);
  to.set_top_p(from.top_p);
  to.set_top_k(from.top_k);
  to.set_min_p(from.min_p);
  to.set_presence_penalty(from.presence_penalty);
  to.set_frequency_penalty(from.frequency_penalty);
  to.set_repetition_penalty(from.repetition_penalty);
  for (const auto& [id, bias] : from.logit_bias) (*to.mutable_logit_bias())[id] = bias;
  to.set_seed(from.seed);
}

void FillToolCalls(const model::ToolCallsOnly& from, v1::ToolCalls& to) {
  to.set_style(from.style == model::ToolCallStyle::kDeepSeekV31 ? v1::TOOL_CALL_STYLE_DEEPSEEK_V31 : v1::TOOL_CALL_STYLE_DEEPSEEK_V3);
  for (const model::ToolSignature& tool : from.tools) {
    v1::ToolSignature& signature = *to.add_tools();
    signature.set_name(tool.name);
    signature.set_parameters(tool.parameters);
  }
  to.set_several(from.several);
  to.set_optional(from.optional);
}

void FillConstraint(const model::Constraint& from, v1::Constraint& to) {
  if (const auto* schema = std::get_if<model::JsonSchema>(&from.kind)) {
    to.set_json_schema(schema->text);
  } else if (const auto* calls = std::get_if<model::ToolCallsOnly>(&from.kind)) {
    FillToolCalls(*calls, *to.mutable_tool_calls());
  } else {
    to.set_json_object(true);
  }
  to.set_after_thinking(from.after_thinking);
}

v1::RunRequest MakeSubmit(const RequestStream& stream, int32_t choice) {
  const Request& request = stream.request();
  v1::RunRequest message;
  v1::SubmitSequence& submit = *message.mutable_submit();
  submit.set_sequence_id(stream.sequence_id(choice));
  submit.set_request_id(request.request_id);
  submit.set_sequence_index(choice);
  submit.mutable_prompt_ids()->Assign(request.prompt_ids.begin(), request.prompt_ids.end());
  FillSampling(request.sampling, *submit.mutable_sampling());
  submit.set_max_tokens(request.max_tokens);
  submit.set_min_tokens(request.min_tokens);
  submit.mutable_stop_token_ids()->Assign(request.stop_token_ids.begin(), request.stop_token_ids.end());
  submit.set_ignore_eos(request.ignore_eos);
  submit.set_logprobs(request.logprobs);
  submit.set_prompt_logprobs(request.prompt_logprobs);
  if (request.constraint) FillConstraint(*request.constraint, *submit.mutable_constraint());
  submit.set_report_times(!request.stop.empty());
  if (!request.trace.span.empty()) submit.set_traceparent(trace::Traceparent(request.trace.span));
  submit.set_probe(request.probe);
  submit.set_deadline_ms(static_cast<uint32_t>(std::min<int64_t>(request.deadline_ms, UINT32_MAX)));
  return message;
}

StageTimes ReadTimes(const v1::StageTimes& from) {
  return {.queue_us = from.queue_us(),
          .attention_us = from.attention_us(),
          .dispatch_us = from.dispatch_us(),
          .experts_us = from.experts_us(),
          .combine_us = from.combine_us(),
          .sampling_us = from.sampling_us(),
          .steps = from.steps()};
}

// What may pass by itself says when to try again.
absl::Status ReadFailure(const v1::SequenceEnd& from) {
  absl::Status status = net::FromGrpcStatus(grpc::Status(static_cast<grpc::StatusCode>(from.code()), from.message().substr(0, kFailureBytesMax)));
  if (status.ok()) return status;
  ErrorInfo info{.reason = "SEQUENCE_FAILED", .metadata = {}, .retry_after_ms = {}};
  if (absl::IsUnavailable(status) || absl::IsResourceExhausted(status)) info.retry_after_ms = kRetryAfterMs;
  return WithErrorInfo(std::move(status), info);
}

SequenceEnd ReadEnd(const v1::SequenceEnd& from) {
  SequenceEnd end{.reason = EndReason::kFailed, .failure = absl::OkStatus(), .times = ReadTimes(from.times())};
  switch (from.reason()) {
    case v1::END_REASON_STOP: end.reason = EndReason::kStop; break;
    case v1::END_REASON_LENGTH: end.reason = EndReason::kLength; break;
    case v1::END_REASON_CANCELLED: end.reason = EndReason::kCancelled; break;
    default: end.failure = ReadFailure(from);
  }
  return end;
}

SampledToken ReadToken(const v1::SampledToken& from) {
  SampledToken token{.token_id = from.token_id(), .logprob = from.logprob(), .top = {}};
  const int top = std::min(from.top_ids_size(), from.top_logprobs_size());
  token.top.reserve(top);
  for (int i = 0; i < top; ++i) token.top.push_back({from.top_ids(i), from.top_logprobs(i)});
  return token;
}

SequenceEvent ReadEvent(const v1::SequenceEvent& from) {
  SequenceEvent event;
  event.tokens.reserve(from.tokens_size());
  for (const v1::SampledToken& token : from.tokens()) event.tokens.push_back(ReadToken(token));
  for (const v1::SampledToken& token : from.prompt()) event.prompt.push_back(ReadToken(token));
  if (from.has_end()) event.end = ReadEnd(from.end());
  if (from.has_times()) event.times = ReadTimes(from.times());
  return event;
}

class RunStreamClient final : public AttentionClient {
 public:
  explicit RunStreamClient(AttentionClientOptions options) : options_(std::move(options)) {}

  void Start() {
    stub_ = v1::AttentionService::NewStub(net::MakeChannel(options_.address));
    stream_ = std::make_unique<Stream>(
        Stream::Callbacks{.on_message = [this](v1::RunResponse& message) { OnMessage(message); },
                          .on_end = [this](const absl::Status& status) { OnEnd(status); }},
        kQueuedMax, [this](grpc::ClientContext* context, Stream::Reactor* reactor) { stub_->async()->Run(context, reactor); });
  }

  ~RunStreamClient() override { Close(); }

  absl::Status Submit(std::shared_ptr<RequestStream> stream) override;
  void CancelSequence(uint64_t sequence_id) override;
  int64_t sequences() const override { return ReadLocked([this] { return static_cast<int64_t>(places_.size()); }); }
  int64_t tokens() const override { return tokens_.load(std::memory_order_relaxed); }
  int64_t prompt_tokens() const override { return ReadLocked([this] { return prompt_tokens_; }); }

  std::function<void()> TraceStep(const StepTraceCall& call, std::function<void(absl::StatusOr<StepTrace>)> done) override {
    return StartStepTrace(*stub_, options_.node_id, call, std::move(done));
  }

  void Close() override { stream_->CancelAndWait(); }

 private:
  using Stream = net::BidiClient<v1::RunRequest, v1::RunResponse>;

  // Where the events of a sequence go.
  struct Place {
    std::shared_ptr<RequestStream> stream;
    int32_t choice = 0;
    int64_t prompt_tokens = 0;  // 0 once it has sampled a token
  };

  template <typename Read>
  int64_t ReadLocked(Read read) const {
    std::lock_guard lock(mutex_);
    return read();
  }

  void OnMessage(v1::RunResponse& message);
  std::vector<Place> FindPlaces(const v1::RunResponse& message);
  void OnEnd(const absl::Status& status);
  absl::Status Lost(const absl::Status& status) const;
  absl::Status AddPlaces(const std::shared_ptr<RequestStream>& stream);
  void Forget(uint64_t sequence_id);

  const AttentionClientOptions options_;
  std::atomic<int64_t> tokens_{0};
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, Place> places_;  // guarded by mutex_, as the next two
  int64_t prompt_tokens_ = 0;
  bool ended_ = false;
  std::unique_ptr<v1::AttentionService::Stub> stub_;
  std::unique_ptr<Stream> stream_;  // last: its callbacks use all of the above
};

absl::Status RunStreamClient::AddPlaces(const std::shared_ptr<RequestStream>& stream) {
  const Request& request = stream->request();
  std::lock_guard lock(mutex_);
  if (ended_) return Lost(absl::OkStatus());
  if (places_.size() + request.n > kSequencesMax) {
    return absl::UnavailableError(absl::StrCat("attention node ", options_.node_id, " has ", places_.size(), " sequences of this router already"));
  }
  const auto prompt_tokens = static_cast<int64_t>(request.prompt_ids.size());
  for (int32_t i = 0; i < request.n; ++i) places_[stream->sequence_id(i)] = {stream, i, prompt_tokens};
  prompt_tokens_ += prompt_tokens * request.n;
  return absl::OkStatus();
}

absl::Status RunStreamClient::Submit(std::shared_ptr<RequestStream> stream) {
  ATOLL_RETURN_IF_ERROR(AddPlaces(stream));
  for (int32_t i = 0; i < stream->request().n; ++i) {
    if (stream_->Send(MakeSubmit(*stream, i))) continue;
    for (int32_t j = 0; j < stream->request().n; ++j) CancelSequence(stream->sequence_id(j));
    return Lost(absl::OkStatus());
  }
  stream->SetHost(shared_from_this());
  return absl::OkStatus();
}

// Call with mutex_ held.
void RunStreamClient::Forget(uint64_t sequence_id) {
  const auto found = places_.find(sequence_id);
  if (found == places_.end()) return;
  prompt_tokens_ -= found->second.prompt_tokens;
  places_.erase(found);
}

void RunStreamClient::CancelSequence(uint64_t sequence_id) {
  std::shared_ptr<RequestStream> keep;  // so that the stream is not destroyed under our lock
  {
    std::lock_guard lock(mutex_);
    const auto found = places_.find(sequence_id);
    if (found == places_.end()) return;
    keep = found->second.stream;
    Forget(sequence_id);
    if (ended_) return;
  }
  v1::RunRequest message;
  message.mutable_cancel()->set_sequence_id(sequence_id);
  // A node that has stopped reading is of no use; what it still computes ends with its stream.
  if (!stream_->Send(std::move(message))) stream_->Cancel();
}

std::vector<RunStreamClient::Place> RunStreamClient::FindPlaces(const v1::RunResponse& message) {
  std::vector<Place> places(message.events_size());
  std::lock_guard lock(mutex_);
  for (int i = 0; i < message.events_size(); ++i) {
    const v1::SequenceEvent& event = message.events(i);
    const auto found = places_.find(event.sequence_id());
    if (found == places_.end()) continue;  // cancelled meanwhile
    places[i] = found->second;
    tokens_.fetch_add(event.tokens_size(), std::memory_order_relaxed);
    if (event.tokens_size() > 0) prompt_tokens_ -= std::exchange(found->second.prompt_tokens, 0);
    if (event.has_end()) Forget(event.sequence_id());
  }
  return places;
}

void RunStreamClient::OnMessage(v1::RunResponse& message) {
  const std::vector<Place> places = FindPlaces(message);
  for (int i = 0; i < message.events_size(); ++i) {
    if (places[i].stream != nullptr) places[i].stream->OnEvent(places[i].choice, ReadEvent(message.events(i)));
  }
}

absl::Status RunStreamClient::Lost(const absl::Status& status) const {
  return WithErrorInfo(absl::UnavailableError(absl::StrCat("attention node ", options_.node_id, " is lost",
                                                           status.message().empty() ? "" : ": ", status.message(), "; try again")),
                       {.reason = "ATTENTION_NODE_LOST", .metadata = {{"node", options_.node_id}}, .retry_after_ms = kRetryAfterMs});
}

void RunStreamClient::OnEnd(const absl::Status& status) {
  std::unordered_map<uint64_t, Place> places;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    places.swap(places_);
    prompt_tokens_ = 0;
  }
  for (const auto& [id, place] : places) place.stream->Fail(Lost(status));
  options_.on_end(status);
}

}  // namespace

std::shared_ptr<AttentionClient> AttentionClient::Connect(AttentionClientOptions options) {
  auto client = std::make_shared<RunStreamClient>(std::move(options));
  client->Start();
  return client;
}

}  // namespace atoll::router
