#include "router/metrics/status_line.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace atoll::router {
namespace {

bool NothingHappened(const StatusFigures& last, const StatusFigures& now) {
  return now.requests_running == 0 && now.prompt_tokens == last.prompt_tokens && now.generated_tokens == last.generated_tokens &&
         now.ended == last.ended && now.failed == last.failed && now.refused == last.refused;
}

}  // namespace

std::string StatusLine::Next(int64_t now_ns, const StatusFigures& figures) {
  const bool first = !said_ns_;
  const double seconds = first ? 0 : 1e-9 * static_cast<double>(now_ns - *said_ns_);
  const StatusFigures last = last_;
  said_ns_ = now_ns;
  last_ = figures;
  if (first || NothingHappened(last, figures)) return "";
  const auto rate = [&](uint64_t now, uint64_t before) { return static_cast<double>(now - before) / seconds; };
  std::string line = absl::StrFormat(
      "%d requests; %d sequences run, %d wait; prompt %.1f tokens/s, generated %.1f tokens/s; %.1f %% of the cache; %d ended", figures.requests_running,
      figures.sequences_running, figures.sequences_waiting, rate(figures.prompt_tokens, last.prompt_tokens),
      rate(figures.generated_tokens, last.generated_tokens), 100 * figures.cache_used, figures.ended - last.ended);
  if (figures.failed > last.failed) absl::StrAppend(&line, ", ", figures.failed - last.failed, " failed");
  if (figures.refused > last.refused) absl::StrAppend(&line, ", ", figures.refused - last.refused, " refused");
  if (figures.balancedness) absl::StrAppend(&line, absl::StrFormat("; expert nodes balanced to %.2f", *figures.balancedness));
  return line;
}

}  // namespace atoll::router
