#include "router/metrics/request_metrics.h"

#include <algorithm>

#include "base/error_info.h"

namespace atoll::router {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kS = 1000 * kMs;
constexpr auto kSecondsBounds = std::to_array<int64_t>(
    {kMs / 2,   kMs,       2 * kMs,   3 * kMs,   5 * kMs,  7'500'000, 10 * kMs, 15 * kMs, 20 * kMs, 30 * kMs, 50 * kMs,  75 * kMs,  100 * kMs, 150 * kMs,
     250 * kMs, 500 * kMs, 1 * kS,    2500 * kMs, 5 * kS,  10 * kS,   20 * kS,  30 * kS,  60 * kS,  120 * kS, 300 * kS,  600 * kS,  1800 * kS});
constexpr auto kTokensBounds =
    std::to_array<int64_t>({1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10'000, 20'000, 50'000, 100'000, 200'000});

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

SequenceOutcome UnfinishedOutcome(Outcome outcome) {
  return outcome == Outcome::kCancelled || outcome == Outcome::kSlowClient ? SequenceOutcome::kAbort : SequenceOutcome::kError;
}

}  // namespace

std::string_view OutcomeName(Outcome outcome) {
  constexpr std::array<std::string_view, kOutcomes> kNames = {"ok", "cancelled", "deadline", "slow_client", "unavailable", "failed"};
  return kNames[static_cast<size_t>(outcome)];
}

std::string_view SequenceOutcomeName(SequenceOutcome outcome) {
  constexpr std::array<std::string_view, kSequenceOutcomes> kNames = {"stop", "length", "abort", "error"};
  return kNames[static_cast<size_t>(outcome)];
}

Outcome OutcomeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk: return Outcome::kOk;
    case absl::StatusCode::kCancelled: return Outcome::kCancelled;
    case absl::StatusCode::kDeadlineExceeded: return Outcome::kDeadline;
    case absl::StatusCode::kUnavailable: return Outcome::kUnavailable;
    default: break;
  }
  const std::optional<ErrorInfo> info = GetErrorInfo(status);
  return info && info->reason == "SLOW_CLIENT" ? Outcome::kSlowClient : Outcome::kFailed;
}

size_t RefusalOf(const absl::Status& status) {
  const std::optional<ErrorInfo> info = GetErrorInfo(status);
  const std::string reason = info ? LowerCase(info->reason) : absl::IsInvalidArgument(status) ? std::string(kRefusals.front()) : "";
  return std::min<size_t>(std::find(kRefusals.begin(), kRefusals.end(), reason) - kRefusals.begin(), kRefusals.size() - 1);
}

metrics::Histogram RequestMetrics::Seconds() { return {kSecondsBounds, 1e9}; }
metrics::Histogram RequestMetrics::Tokens() { return {kTokensBounds, 1}; }

void RequestMetrics::OnFirstToken(int64_t prompt_tokens, int64_t after_ns) {
  prompt_tokens_.Add(prompt_tokens);
  first_token_.Observe(after_ns);
}

void RequestMetrics::OnTokens(const TokenArrival& arrival) {
  if (arrival.tokens <= 0) return;
  generated_tokens_.Add(arrival.tokens);
  // Tokens that come together share the time since the one before them.
  if (!arrival.first) inter_token_.Observe(arrival.after_ns / arrival.tokens, arrival.tokens);
}

void RequestMetrics::CountSequences(const RequestOutcome& outcome) {
  const auto add = [&](SequenceOutcome as, int64_t count) { sequences_[static_cast<size_t>(as)].Add(count); };
  add(SequenceOutcome::kStop, outcome.stopped);
  add(SequenceOutcome::kLength, outcome.at_length);
  add(UnfinishedOutcome(OutcomeOf(outcome.status)), outcome.sequences - outcome.stopped - outcome.at_length);
}

void RequestMetrics::OnEnd(const RequestOutcome& outcome) {
  ended_[static_cast<size_t>(OutcomeOf(outcome.status))].Add();
  CountSequences(outcome);
  if (!outcome.status.ok()) return;
  const int64_t queue_ns = std::min(outcome.queue_ns, outcome.first_token_ns);
  queue_.Observe(queue_ns);
  prefill_.Observe(outcome.first_token_ns - queue_ns);
  decode_.Observe(outcome.total_ns - outcome.first_token_ns);
  duration_.Observe(outcome.total_ns);
  prompt_size_.Observe(outcome.prompt_tokens);
  answer_size_.Observe(outcome.completion_tokens);
}

std::vector<NamedHistogram> RequestMetrics::Snapshot() const {
  return {{"atoll_time_to_first_token_seconds", "From a request's admission to its first token at the router.", first_token_.Snapshot()},
          {"atoll_inter_token_latency_seconds", "Between two tokens of a sequence at the router.", inter_token_.Snapshot()},
          {"atoll_request_duration_seconds", "From a request's admission to its last token at the router; requests that ended well.", duration_.Snapshot()},
          {"atoll_request_queue_seconds", "Of that, waiting on the attention node for the first step.", queue_.Snapshot()},
          {"atoll_request_prefill_seconds", "Of that, from the end of the wait to the first token.", prefill_.Snapshot()},
          {"atoll_request_decode_seconds", "Of that, from the first token to the last one.", decode_.Snapshot()},
          {"atoll_request_prompt_tokens", "Tokens of the prompt; requests that ended well.", prompt_size_.Snapshot()},
          {"atoll_request_generated_tokens", "Tokens of all answers of a request; requests that ended well.", answer_size_.Snapshot()}};
}

}  // namespace atoll::router
