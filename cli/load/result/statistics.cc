#include "cli/load/result/statistics.h"

#include <algorithm>

namespace atoll::load {
namespace {

double PerSecond(int64_t count, double seconds) { return seconds > 0 ? static_cast<double>(count) / seconds : 0; }

}  // namespace

void Tally::Add(const RequestRecord& record) {
  ++ended[static_cast<size_t>(record.outcome)];
  hung += record.hung;
  good += record.within_slo;
}

void Statistics::OnSent(const RequestRecord& record, int64_t in_flight) {
  ++sent_;
  Interval& now = series.At(record.sent_ns);
  ++now.sent;
  now.in_flight = std::max(now.in_flight, in_flight);
  if (record.warmup) return;
  send_delay.Add(record.sent_ns - record.intended_ns);
  if (first_intended_ns_ < 0) first_intended_ns_ = record.intended_ns;
}

void Statistics::OnSendingOver(int64_t now_ns) {
  if (sending_over_ns_ < 0) sending_over_ns_ = now_ns;
}

void Statistics::OnTokens(int64_t now_ns, int64_t tokens) {
  series.At(now_ns).tokens += tokens;
  tokens_ += tokens;
  if (now_ns < warmup_ns_) return;
  tokens_measured_ += tokens;
  if (sending_over_ns_ < 0) tokens_steady_ += tokens;
}

void Statistics::OnFirst(const RequestRecord& record) {
  series.At(record.first_ns).ttft.Add(record.TtftNs());
  if (record.warmup) return;
  ttft.Add(record.TtftNs());
  ttft_from_sent.Add(record.first_ns - record.sent_ns);
}

void Statistics::OnGap(int64_t gap_ns, const RequestRecord& record) {
  series.At(record.last_ns).itl.Add(gap_ns);
  if (!record.warmup) itl.Add(gap_ns);
}

void Statistics::OnEnd(RequestRecord* record) {
  record->within_slo = slo_.Within(*record);
  all_.Add(*record);
  ++series.At(record->end_ns).ended[static_cast<size_t>(record->outcome)];
  if (record->outcome == Outcome::kOk) prompt_tokens_ += record->end.prompt_tokens;
  if (record->warmup) return;
  measured_.Add(*record);
  last_end_ns_ = std::max(last_end_ns_, record->end_ns);
  if (record->outcome != Outcome::kOk) return;
  e2e.Add(record->E2eNs());
  if (record->tokens > 1) tpot.Add(record->TpotNs());
  if (record->end.server_total_us == 0) return;
  server_ttft.Add(record->end.server_first_us * 1000);
  server_e2e.Add(record->end.server_total_us * 1000);
}

double Statistics::MeasuredSeconds() const {
  return first_intended_ns_ < 0 ? 0 : static_cast<double>(std::max<int64_t>(last_end_ns_ - first_intended_ns_, 0)) / 1e9;
}
double Statistics::TokensPerSecond() const { return PerSecond(tokens_measured_, MeasuredSeconds()); }
double Statistics::RequestsPerSecond() const { return PerSecond(measured_.of(Outcome::kOk), MeasuredSeconds()); }
double Statistics::GoodPerSecond() const { return PerSecond(measured_.good, MeasuredSeconds()); }

double Statistics::GoodShare() const {
  const int64_t offered = measured_.all() - measured_.of(Outcome::kCancelled);
  return offered ? static_cast<double>(measured_.good) / static_cast<double>(offered) : 0;
}

double Statistics::SteadySeconds() const {
  return sending_over_ns_ < 0 ? 0 : static_cast<double>(std::max<int64_t>(sending_over_ns_ - warmup_ns_, 0)) / 1e9;
}
double Statistics::SteadyTokensPerSecond() const { return PerSecond(tokens_steady_, SteadySeconds()); }

}  // namespace atoll::load
