#pragma once

// How far a load is: what a loader hands to whoever shows it. A plain value.

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

namespace atoll::model {

struct LoadProgress {
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  double seconds = 0;  // since the load began

  double percent() const {
    return bytes_total == 0 ? 100.0 : 100.0 * static_cast<double>(bytes_done) / static_cast<double>(bytes_total);
  }
  double gigabytes_per_second() const { return seconds > 0 ? static_cast<double>(bytes_done) / 1e9 / seconds : 0; }
  // "42 % 7.5 GB 1.2 GB/s"
  std::string ToString() const {
    char text[64];
    std::snprintf(text, sizeof(text), "%.0f %% %.1f GB %.1f GB/s", percent(), static_cast<double>(bytes_done) / 1e9,
                  gigabytes_per_second());
    return text;
  }
};

using LoadProgressSink = std::function<void(const LoadProgress&)>;

}  // namespace atoll::model
