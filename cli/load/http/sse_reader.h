#pragma once

// Server-sent events out of a byte stream that is cut anywhere. Thread-compatible.

#include <cstddef>
#include <string>
#include <string_view>

namespace atoll::load {

class SseReader {
 public:
  explicit SseReader(size_t event_bytes_max = 1 << 20) : event_bytes_max_(event_bytes_max) {}

  // Calls on_data(std::string_view) for each event that has data, its lines joined by '\n'. False where an event is larger than
  // the limit; nothing is read after that.
  template <typename OnData>
  [[nodiscard]] bool Feed(std::string_view bytes, OnData&& on_data) {
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      line_.append(bytes.substr(0, end));
      if (line_.size() + data_.size() > event_bytes_max_) return false;
      if (end == std::string_view::npos) return true;
      bytes.remove_prefix(end + 1);
      TakeLine(on_data);
    }
    return true;
  }

 private:
  template <typename OnData>
  void TakeLine(OnData&& on_data) {
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    if (line_.empty() && has_data_) {
      on_data(std::string_view(data_));
      data_.clear();
      has_data_ = false;
    } else if (line_.starts_with("data:")) {
      if (has_data_) data_.push_back('\n');
      data_.append(line_, line_.starts_with("data: ") ? 6 : 5);
      has_data_ = true;
    }
    line_.clear();
  }

  const size_t event_bytes_max_;
  std::string line_, data_;
  bool has_data_ = false;
};

}  // namespace atoll::load
