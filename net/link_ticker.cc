#include "net/link_ticker.h"

namespace atoll::net {

LinkTicker::LinkTicker(LinkHost& host, std::chrono::milliseconds interval) : host_(host), thread_([this, interval] { Run(interval); }) {}

LinkTicker::~LinkTicker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void LinkTicker::Run(std::chrono::milliseconds interval) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, interval, [&] { return stopping_; })) host_.Tick();
}

}  // namespace atoll::net
