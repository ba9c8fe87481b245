#include "router/request/request_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"

namespace atoll::router {
namespace {

void KeepLongest(StageTimes& to, const StageTimes& from) {
  to.queue_us = std::max(to.queue_us, from.queue_us);
  to.attention_us = std::max(to.attention_us, from.attention_us);
  to.dispatch_us = std::max(to.dispatch_us, from.dispatch_us);
  to.experts_us = std::max(to.experts_us, from.experts_us);
  to.combine_us = std::max(to.combine_us, from.combine_us);
  to.sampling_us = std::max(to.sampling_us, from.sampling_us);
  to.steps = std::max(to.steps, from.steps);
}

absl::Status SlowClient(size_t bytes_max) {
  return WithErrorInfo(absl::ResourceExhaustedError(absl::StrCat("the client reads too slowly: more than ", bytes_max,
                                                                 " bytes of its answer were waiting; read faster or ask for less")),
                       {.reason = "SLOW_CLIENT", .metadata = {}, .retry_after_ms = {}});
}

}  // namespace

RequestStream::RequestStream(Request request, uint64_t first_sequence_id, const StreamSurroundings& surroundings, ResponseSink* sink)
    : request_(std::move(request)),
      first_sequence_id_(first_sequence_id),
      surroundings_(surroundings),
      started_ns_(surroundings.clock->NowNs()),
      deadline_ns_(started_ns_ + request_.deadline_ms * 1000000),
      sink_(sink),
      unfinished_(request_.n) {
  choices_.reserve(request_.n);
  token_ns_.resize(request_.n, started_ns_);
  for (int32_t i = 0; i < request_.n; ++i) choices_.emplace_back(i, request_, surroundings_.tokenizer, *surroundings_.eos_ids);
}

void RequestStream::SetHost(std::shared_ptr<SequenceHost> host) {
  std::lock_guard lock(mutex_);
  host_ = std::move(host);
  if (reported_) CancelUnfinishedLocked();  // the client left, or the node was lost, while the sequences were being submitted
}

void RequestStream::OnEvent(int32_t choice, SequenceEvent event) {
  std::lock_guard lock(mutex_);
  ChoiceStream& stream = choices_[choice];
  if (reported_ || stream.ended()) return;
  const int64_t tokens_before = stream.tokens();
  const absl::Status status = stream.OnEvent(std::move(event));
  CountTokensLocked(choice, tokens_before);
  if (!status.ok()) return FailLocked(status);
  if (stream.ended()) --unfinished_;
  if (stream.ended_here() && host_ != nullptr) host_->CancelSequence(sequence_id(choice));
  TouchLocked(choice);
  if (unfinished_ == 0) SummariseLocked();
  PumpLocked();
}

void RequestStream::CountTokensLocked(int32_t choice, int64_t tokens_before) {
  const int64_t tokens = choices_[choice].tokens() - tokens_before;
  if (tokens == 0) return;
  const int64_t now_ns = surroundings_.clock->NowNs();
  if (summary_.completion_tokens == 0) {
    first_token_ns_ = now_ns - started_ns_;
    surroundings_.observer->OnFirstToken(*this, first_token_ns_);
  }
  summary_.completion_tokens += tokens;
  const int64_t before_ns = std::exchange(token_ns_[choice], now_ns);
  surroundings_.observer->OnTokens({.tokens = tokens, .after_ns = now_ns - before_ns, .first = tokens_before == 0});
}

void RequestStream::TouchLocked(int32_t choice) {
  if (choices_[choice].delta().empty()) return;
  if (std::find(touched_.begin(), touched_.end(), choice) == touched_.end()) touched_.push_back(choice);
}

void RequestStream::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  write_in_flight_ = false;
  if (failure_) return EndSinkLocked();
  if (!ok) return FailLocked(absl::CancelledError("the client has left"));
  PumpLocked();
}

void RequestStream::Fail(const absl::Status& status) {
  std::lock_guard lock(mutex_);
  if (!reported_) FailLocked(status);
}

void RequestStream::PumpLocked() {
  if (write_in_flight_ || sink_ == nullptr) {
    const size_t bytes_max = kPendingBytesMax + kPendingBytesMaxPerFurtherChoice * (request_.n - 1);
    if (sink_ != nullptr && !failure_ && PendingBytesLocked() > bytes_max) FailLocked(SlowClient(bytes_max));
    return;
  }
  if (!touched_.empty()) WriteLocked();
}

void RequestStream::WriteLocked() {
  being_sent_.clear();
  for (const int32_t choice : touched_) being_sent_.push_back(&choices_[choice].delta());
  const bool last = unfinished_ == 0;
  write_in_flight_ = !last;
  if (last) ReportLocked(absl::OkStatus());  // first: a sink may be gone after its last call, and its owner with it
  sink_->Write({.choices = being_sent_, .summary = last ? &summary_ : nullptr});
  for (const int32_t choice : touched_) choices_[choice].delta().Clear();
  touched_.clear();
  if (last) sink_ = nullptr;
}

void RequestStream::FailLocked(const absl::Status& status) {
  if (failure_ || sink_ == nullptr) return;
  failure_ = status;
  CancelUnfinishedLocked();
  for (const int32_t choice : touched_) choices_[choice].delta().Clear();
  touched_.clear();
  ReportLocked(status);
  if (!write_in_flight_) EndSinkLocked();
}

void RequestStream::CancelUnfinishedLocked() {
  if (host_ == nullptr) return;
  for (int32_t i = 0; i < request_.n; ++i) {
    if (!choices_[i].ended()) host_->CancelSequence(sequence_id(i));
  }
}

void RequestStream::EndSinkLocked() { std::exchange(sink_, nullptr)->End(*failure_); }

size_t RequestStream::PendingBytesLocked() const {
  size_t bytes = 0;
  for (const int32_t choice : touched_) bytes += choices_[choice].delta().bytes();
  return bytes;
}

void RequestStream::SummariseLocked() {
  summary_.prompt_tokens = static_cast<int64_t>(request_.prompt_ids.size());
  for (const ChoiceStream& choice : choices_) KeepLongest(summary_.stages, choice.times());
  summary_.first_token_us = first_token_ns_ / 1000;
  summary_.total_us = (surroundings_.clock->NowNs() - started_ns_) / 1000;
  summary_.seed = request_.sampling.seed;
}

void RequestStream::ReportLocked(const absl::Status& status) {
  if (std::exchange(reported_, true)) return;
  RequestOutcome outcome{.status = status,
                         .prompt_tokens = static_cast<int64_t>(request_.prompt_ids.size()),
                         .completion_tokens = summary_.completion_tokens,
                         .sequences = request_.n,
                         .first_token_ns = first_token_ns_,
                         .total_ns = *std::max_element(token_ns_.begin(), token_ns_.end()) - started_ns_,
                         .queue_ns = summary_.stages.queue_us * 1000};
  for (const ChoiceStream& choice : choices_) {
    if (choice.ended()) ++(choice.finish_reason() == FinishReason::kStop ? outcome.stopped : outcome.at_length);
  }
  surroundings_.observer->OnRequestEnd(*this, outcome);
}

}  // namespace atoll::router
