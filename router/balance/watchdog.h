#pragma once

// Says when something that should come to an end does not. Time passed in; thread-compatible.

#include <cstdint>
#include <string>
#include <utility>

namespace atoll::router {

class Watchdog {
 public:
  explicit Watchdog(int64_t limit_ms) : limit_ns_(limit_ms * 1'000'000) {}

  // What goes on now, empty for nothing. Another text than before means progress. True once, when it is stuck.
  bool Watch(std::string what, int64_t now_ns) {
    if (what != what_) {
      what_ = std::move(what);
      since_ns_ = now_ns;
      said_ = false;
    }
    if (!stuck(now_ns) || said_) return false;
    return said_ = true;
  }
  const std::string& what() const { return what_; }
  // Of what goes on; 0 when nothing does.
  int64_t age_ms(int64_t now_ns) const { return what_.empty() ? 0 : (now_ns - since_ns_) / 1'000'000; }
  bool stuck(int64_t now_ns) const { return !what_.empty() && now_ns - since_ns_ >= limit_ns_; }

 private:
  const int64_t limit_ns_;
  std::string what_;
  int64_t since_ns_ = 0;
  bool said_ = false;
};

}  // namespace atoll::router
