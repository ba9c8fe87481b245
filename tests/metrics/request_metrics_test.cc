// What the router counts of its requests.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error_info.h"
#include "router/metrics/request_metrics.h"

namespace atoll::router {
namespace {

constexpr int64_t kMs = 1'000'000;

absl::Status WithReason(absl::Status status, const std::string& reason) {
  return WithErrorInfo(std::move(status), {.reason = reason, .metadata = {}, .retry_after_ms = {}});
}

const metrics::HistogramSnapshot& Find(const std::vector<NamedHistogram>& histograms, std::string_view name) {
  for (const NamedHistogram& histogram : histograms) {
    if (histogram.name == name) return histogram.values;
  }
  ADD_FAILURE() << name << " is no histogram";
  return histograms.front().values;
}

TEST(RequestMetricsTest, TokensThatComeTogetherShareTheirTime) {
  RequestMetrics counted;
  counted.OnFirstToken(12, 40 * kMs);
  counted.OnTokens({.tokens = 1, .after_ns = 40 * kMs, .first = true});
  counted.OnTokens({.tokens = 1, .after_ns = 8 * kMs, .first = false});
  counted.OnTokens({.tokens = 4, .after_ns = 8 * kMs, .first = false});
  counted.OnTokens({.tokens = 0, .after_ns = 8 * kMs, .first = false});
  EXPECT_EQ(counted.generated_tokens(), 6u);
  EXPECT_EQ(counted.prompt_tokens(), 12u);
  const auto histograms = counted.Snapshot();
  const auto& between = Find(histograms, "atoll_inter_token_latency_seconds");
  EXPECT_EQ(between.count(), 5u);  // all but the first
  EXPECT_DOUBLE_EQ(between.sum, 0.016);
  EXPECT_DOUBLE_EQ(Find(histograms, "atoll_time_to_first_token_seconds").sum, 0.04);
}

TEST(RequestMetricsTest, PhasesAddUpToTheWhole) {
  RequestMetrics counted;
  counted.OnEnd({.status = absl::OkStatus(), .prompt_tokens = 100, .completion_tokens = 20, .sequences = 1, .stopped = 1,
                 .first_token_ns = 50 * kMs, .total_ns = 250 * kMs, .queue_ns = 30 * kMs});
  // A second sequence may wait longer than the first one's token took.
  counted.OnEnd({.status = absl::OkStatus(), .prompt_tokens = 100, .completion_tokens = 20, .sequences = 2, .at_length = 2,
                 .first_token_ns = 50 * kMs, .total_ns = 250 * kMs, .queue_ns = 90 * kMs});
  const auto histograms = counted.Snapshot();
  const double queue = Find(histograms, "atoll_request_queue_seconds").sum, prefill = Find(histograms, "atoll_request_prefill_seconds").sum,
               decode = Find(histograms, "atoll_request_decode_seconds").sum;
  EXPECT_DOUBLE_EQ(queue, 0.08);
  EXPECT_DOUBLE_EQ(prefill, 0.02);
  EXPECT_DOUBLE_EQ(queue + prefill + decode, Find(histograms, "atoll_request_duration_seconds").sum);
  EXPECT_DOUBLE_EQ(Find(histograms, "atoll_request_prompt_tokens").sum, 200);
  EXPECT_EQ(counted.sequences_ended(SequenceOutcome::kLength), 2u);
}

TEST(RequestMetricsTest, OutcomesAreToldApart) {
  RequestMetrics counted;
  const std::pair<absl::Status, Outcome> cases[] = {
      {absl::OkStatus(), Outcome::kOk},
      {absl::CancelledError(""), Outcome::kCancelled},
      {absl::DeadlineExceededError(""), Outcome::kDeadline},
      {WithReason(absl::ResourceExhaustedError(""), "SLOW_CLIENT"), Outcome::kSlowClient},
      {absl::ResourceExhaustedError("the node's queue is full"), Outcome::kFailed},
      {absl::UnavailableError(""), Outcome::kUnavailable},
      {absl::InternalError(""), Outcome::kFailed}};
  for (const auto& [status, outcome] : cases) {
    const uint64_t before = counted.ended(outcome);
    counted.OnEnd({.status = status, .sequences = 3, .stopped = 1, .at_length = status.ok() ? 2 : 0});
    EXPECT_EQ(counted.ended(outcome), before + 1) << status;
  }
  EXPECT_EQ(counted.sequences_ended(SequenceOutcome::kStop), 7u);
  EXPECT_EQ(counted.sequences_ended(SequenceOutcome::kLength), 2u);
  EXPECT_EQ(counted.sequences_ended(SequenceOutcome::kAbort), 4u);  // cancelled, slow client
  EXPECT_EQ(counted.sequences_ended(SequenceOutcome::kError), 8u);
  EXPECT_EQ(Find(counted.Snapshot(), "atoll_request_duration_seconds").count(), 1u);  // of those that ended well
}

TEST(RequestMetricsTest, RefusalsAreCountedByReason) {
  const auto reason = [](const absl::Status& status) { return kRefusals[RefusalOf(status)]; };
  EXPECT_EQ(reason(WithReason(absl::ResourceExhaustedError(""), "TOO_MANY_REQUESTS")), "too_many_requests");
  EXPECT_EQ(reason(WithReason(absl::UnavailableError(""), "NOT_READY")), "not_ready");
  EXPECT_EQ(reason(absl::InvalidArgumentError("no attention node takes that")), "invalid_field");
  EXPECT_EQ(reason(WithReason(absl::InternalError(""), "SOMETHING_NEW")), "other");
  EXPECT_EQ(reason(absl::InternalError("")), "other");
}

TEST(RequestMetricsTest, BucketsReachFromAMillisecondToTenMinutes) {
  RequestMetrics counted;
  const auto histograms = counted.Snapshot();
  for (const NamedHistogram& histogram : histograms) {
    if (!histogram.name.ends_with("_seconds")) continue;
    EXPECT_LE(histogram.values.upper_bounds.front(), 0.001) << histogram.name;
    EXPECT_GE(histogram.values.upper_bounds.back(), 600) << histogram.name;
    EXPECT_TRUE(std::is_sorted(histogram.values.upper_bounds.begin(), histogram.values.upper_bounds.end()));
  }
}

}  // namespace
}  // namespace atoll::router
