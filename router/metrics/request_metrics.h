#pragma once

// What the router counts of the requests that it serves. docs/metrics.md has every figure's meaning and where its intervals
// begin and end.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/metrics/counter.h"
#include "base/metrics/histogram.h"
#include "base/status.h"
#include "router/request/request_stream.h"

namespace atoll::router {

// How a request that was admitted ended.
enum class Outcome { kOk, kCancelled, kDeadline, kSlowClient, kUnavailable, kFailed };
inline constexpr size_t kOutcomes = 6;
std::string_view OutcomeName(Outcome outcome);
Outcome OutcomeOf(const absl::Status& status);

// How one of its sequences ended.
enum class SequenceOutcome { kStop, kLength, kAbort, kError };
inline constexpr size_t kSequenceOutcomes = 4;
std::string_view SequenceOutcomeName(SequenceOutcome outcome);

// Why a request was not admitted: the reason of its status, of those that the router gives; "other" for the rest.
inline constexpr std::array<std::string_view, 9> kRefusals = {
    "invalid_field",          "model_not_found",   "not_ready",            "draining", "too_many_requests",
    "too_many_queued_tokens", "request_id_in_use", "attention_nodes_full", "other"};
size_t RefusalOf(const absl::Status& status);

struct NamedHistogram {
  std::string_view name;  // as in /metrics
  std::string_view help;
  metrics::HistogramSnapshot values;
};

// Thread-safe, without locks.
class RequestMetrics {
 public:
  void OnRefused(const absl::Status& status) { refused_[RefusalOf(status)].Add(); }
  void OnFirstToken(int64_t prompt_tokens, int64_t after_ns);
  void OnTokens(const TokenArrival& arrival);
  void OnEnd(const RequestOutcome& outcome);

  uint64_t refused(size_t refusal) const { return refused_[refusal].Value(); }
  uint64_t ended(Outcome outcome) const { return ended_[static_cast<size_t>(outcome)].Value(); }
  uint64_t sequences_ended(SequenceOutcome outcome) const { return sequences_[static_cast<size_t>(outcome)].Value(); }
  uint64_t prompt_tokens() const { return prompt_tokens_.Value(); }
  uint64_t generated_tokens() const { return generated_tokens_.Value(); }
  // All histograms as they are now, in the order of docs/metrics.md.
  std::vector<NamedHistogram> Snapshot() const;

 private:
  void CountSequences(const RequestOutcome& outcome);

  std::array<metrics::Counter, kRefusals.size()> refused_;
  std::array<metrics::Counter, kOutcomes> ended_;
  std::array<metrics::Counter, kSequenceOutcomes> sequences_;
  metrics::Counter prompt_tokens_, generated_tokens_;

  static metrics::Histogram Seconds();
  static metrics::Histogram Tokens();
  metrics::Histogram first_token_ = Seconds();
  metrics::Histogram inter_token_ = Seconds();
  metrics::Histogram duration_ = Seconds();
  metrics::Histogram queue_ = Seconds();
  metrics::Histogram prefill_ = Seconds();
  metrics::Histogram decode_ = Seconds();
  metrics::Histogram prompt_size_ = Tokens();
  metrics::Histogram answer_size_ = Tokens();
};

}  // namespace atoll::router
