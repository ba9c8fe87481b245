#pragma once

// Durations as people write them.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace atoll::load {

inline constexpr int64_t kNsPerMs = 1000000;
inline constexpr int64_t kNsPerSecond = 1000000000;

// Nanoseconds of "500ms", "10s", "2.5s", "3m", "1h", "250us"; at most 30 days. `where` names the option in the error.
absl::StatusOr<int64_t> ParseDurationNs(std::string_view text, std::string_view where);

// "0.84 ms", "12.3 ms", "4.57 s": three digits that matter.
std::string DurationText(double ns);

}  // namespace atoll::load
