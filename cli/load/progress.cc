#include "cli/load/progress.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "cli/load/plan/duration.h"

namespace atoll::load {
namespace {

constexpr size_t kBarCells = 20;
constexpr const char* kRed = "\033[31m";
constexpr const char* kPlain = "\033[0m";

std::string Bar(double share) {
  const auto full = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(kBarCells));
  return "[" + std::string(full, '=') + std::string(kBarCells - full, ' ') + "]";
}

}  // namespace

std::string ProgressLine(const ProgressState& s, size_t columns, bool color) {
  std::string line = absl::StrFormat("%s %.0f s  sent %d  ok %d  in flight %d", Bar(s.share_done), static_cast<double>(s.now_ns) / 1e9, s.sent,
                                     s.tally.of(Outcome::kOk), s.in_flight);
  const std::string refused = s.tally.of(Outcome::kRefused) ? absl::StrFormat("  refused %d", s.tally.of(Outcome::kRefused)) : "";
  const std::string failed = s.tally.of(Outcome::kFailed) ? absl::StrFormat("  failed %d", s.tally.of(Outcome::kFailed)) : "";
  line += refused;
  const size_t failed_at = line.size();
  line += failed;
  line += absl::StrFormat("  %.0f tok/s", s.tokens_per_second);
  if (s.ttft_p50_ns > 0) line += absl::StrFormat("  TTFT %s p99 %s", DurationText(s.ttft_p50_ns), DurationText(s.ttft_p99_ns));
  if (s.itl_p50_ns > 0) line += absl::StrFormat("  ITL %s p99 %s", DurationText(s.itl_p50_ns), DurationText(s.itl_p99_ns));
  line.resize(std::min(line.size(), columns));
  if (color && !failed.empty() && failed_at + failed.size() <= line.size())
    line = line.substr(0, failed_at) + kRed + failed + kPlain + line.substr(failed_at + failed.size());
  return line;
}

double RateMeter::Rate(int64_t now_ns, int64_t count) {
  if (now_ns - since_ns_ < kNsPerSecond) return rate_;
  rate_ = static_cast<double>(count - since_count_) * 1e9 / static_cast<double>(now_ns - since_ns_);
  since_ns_ = now_ns;
  since_count_ = count;
  return rate_;
}

}  // namespace atoll::load
