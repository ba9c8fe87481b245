#include "cli/load/plan/duration.h"

#include <charconv>
#include <utility>

#include "absl/strings/str_format.h"

namespace atoll::load {

absl::StatusOr<int64_t> ParseDurationNs(std::string_view text, std::string_view where) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  for (const auto& [name, ns] : kUnits)
    if (error == std::errc() && unit == name && value >= 0 && value * ns <= 30 * 86400e9) return static_cast<int64_t>(value * ns);
  return absl::InvalidArgumentError(absl::StrCat(std::string(where), ": expected a duration such as 500ms, 10s or 3m, at most 30 days, found '",
                                                 std::string(text.substr(0, 40)), "'"));
}

std::string DurationText(double ns) {
  const auto [value, unit] = ns < 1e6 ? std::pair(ns / 1e3, "us") : ns < 1e9 ? std::pair(ns / 1e6, "ms") : std::pair(ns / 1e9, "s");
  return absl::StrFormat(value < 10 ? "%.2f %s" : value < 100 ? "%.1f %s" : "%.0f %s", value, unit);
}

}  // namespace atoll::load
