#pragma once

// Ticks a LinkHost from a thread of its own, so that heartbeats and progress go on while the polling thread computes.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/link.h"

namespace atoll::net {

class LinkTicker {
 public:
  // Ticks until destroyed; `host` outlives it.
  explicit LinkTicker(LinkHost& host, std::chrono::milliseconds interval = std::chrono::milliseconds(20));
  ~LinkTicker();
  LinkTicker(const LinkTicker&) = delete;
  LinkTicker& operator=(const LinkTicker&) = delete;

 private:
  void Run(std::chrono::milliseconds interval);

  LinkHost& host_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace atoll::net
