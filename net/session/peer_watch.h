#pragma once

// When to send a heartbeat, and when a peer has been silent for too long. Pure: time comes in with each tick. A tick that
// comes late counts as one interval only: a process that was itself stopped or starved learned nothing about its peer
// meanwhile, and the peer, on the same machine, may have starved too (300 ms were seen with ten threads per CPU).

#include <algorithm>
#include <cstdint>

namespace atoll::net {

struct PeerWatchTimes {
  int64_t tick_ns = 0;
  int64_t heartbeat_ns = 0;
  int64_t silence_ns = 0;
};

class PeerWatch {
 public:
  PeerWatch(const PeerWatchTimes& times, int64_t now_ns) : times_(times), last_tick_ns_(now_ns), last_sent_ns_(now_ns) {}

  void OnReceived() { silent_ns_ = 0; }
  void OnSent(int64_t now_ns) { last_sent_ns_ = now_ns; }
  // Call after everything that has arrived was taken in.
  void Tick(int64_t now_ns) {
    const int64_t elapsed_ns = std::max<int64_t>(0, now_ns - last_tick_ns_);
    silent_ns_ += elapsed_ns <= 2 * times_.tick_ns ? elapsed_ns : times_.tick_ns;
    last_tick_ns_ = now_ns;
  }
  bool IsHeartbeatDue(int64_t now_ns) const { return now_ns - last_sent_ns_ >= times_.heartbeat_ns; }
  bool IsPeerSilent() const { return silent_ns_ >= times_.silence_ns; }

 private:
  PeerWatchTimes times_;
  int64_t silent_ns_ = 0;
  int64_t last_tick_ns_;
  int64_t last_sent_ns_;
};

}  // namespace atoll::net
