#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/load/plan/duration.h"
#include "cli/load/result/report.h"

namespace atoll::load {
namespace {

constexpr int64_t kLateClientNs = 10 * kNsPerMs;

std::string Row(const char* name, const Samples& samples) {
  if (samples.count() == 0) return "";
  std::string row = absl::StrFormat("  %-15s", name);
  for (const double p : {50.0, 90.0, 99.0}) absl::StrAppendFormat(&row, "%10s", DurationText(samples.Percentile(p)));
  return row + absl::StrFormat("%10s%10s%9d\n", DurationText(static_cast<double>(samples.Max())), DurationText(samples.Mean()), samples.count());
}

std::string Outcomes(const Statistics& s) {
  const Tally& all = s.all();
  std::string text = absl::StrFormat("requests   %d sent: %d ok, %d refused, %d cancelled, %d failed; %d hung", s.sent(), all.of(Outcome::kOk),
                                     all.of(Outcome::kRefused), all.of(Outcome::kCancelled), all.of(Outcome::kFailed), all.hung);
  const int64_t warmup = all.all() - s.measured().all();
  return text + (warmup ? absl::StrFormat(" (%d of them before the measurement)\n", warmup) : "\n");
}

std::string Rates(const Statistics& s) {
  std::string text = absl::StrFormat("rate       %.1f tokens/s, %.2f requests/s over %.1f s", s.TokensPerSecond(), s.RequestsPerSecond(), s.MeasuredSeconds());
  if (s.SteadySeconds() >= 1) absl::StrAppendFormat(&text, "; %.1f tokens/s while sending", s.SteadyTokensPerSecond());
  return text + "\n";
}

std::string Goodput(const Statistics& s) {
  if (!s.slo().given()) return "";
  return absl::StrFormat("goodput    %.2f requests/s within the SLO, %.1f %% of those not cancelled\n", s.GoodPerSecond(), 100 * s.GoodShare());
}

std::string Latencies(const Statistics& s) {
  return absl::StrFormat("\n  %-15s%10s%10s%10s%10s%10s%9s\n", "", "p50", "p90", "p99", "max", "mean", "count") + Row("TTFT", s.ttft) + Row("TPOT", s.tpot) +
         Row("ITL", s.itl) + Row("E2E", s.e2e) + Row("send delay", s.send_delay) + Row("TTFT from sent", s.ttft_from_sent) +
         Row("server's TTFT", s.server_ttft) + Row("server's E2E", s.server_e2e);
}

// Nothing where the figures can be taken as they are.
std::string Warnings(const Report& report) {
  const Statistics& s = report.statistics;
  std::string text;
  if (report.facts.interrupted) text += "interrupted: the figures cover what had happened until then\n";
  if (s.sent() > 0 && s.send_delay.count() == 0) text += "nothing was measured: all requests fell into the warm-up\n";
  if (s.send_delay.Percentile(99) > kLateClientNs)
    absl::StrAppend(&text, "requests were sent late (p99 ", DurationText(s.send_delay.Percentile(99)),
                    "): this client or its limit of ", report.facts.in_flight_max, " requests in flight holds them; the delay is in the latencies\n");
  return text;
}

std::string Faults(const std::vector<FaultResult>& faults) {
  std::string text;
  for (const FaultResult& fault : faults)
    absl::StrAppendFormat(&text, "fault      at %s: %s: %s after %s%s\n", DurationText(static_cast<double>(fault.started_ns)), fault.command, fault.exit,
                          DurationText(static_cast<double>(fault.ended_ns - fault.started_ns)), fault.output.empty() ? "" : ": " + fault.output);
  return text;
}

std::string Server(const std::vector<ServerCounters>& counters) {
  std::string text;
  for (const ServerCounters& counter : counters) absl::StrAppend(&text, text.empty() ? "server     " : ", ", counter.name, " +", counter.after - counter.before);
  return text.empty() ? "" : text + "\n";
}

}  // namespace

std::string ReportText(const Report& report) {
  const Statistics& s = report.statistics;
  return absl::StrCat(Warnings(report), "load       ", report.facts.arrivals, "; ", report.facts.lengths, "; ", report.facts.dataset, "; seed ", report.facts.seed, "\n",
                      Outcomes(s), Rates(s), Goodput(s), Faults(report.faults), Server(report.server), Latencies(s));
}

}  // namespace atoll::load
