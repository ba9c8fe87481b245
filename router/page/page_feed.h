#pragma once

// The page's live feed: one look at the router per period, said to all who watch. Who does not read as fast is left out
// until it has, and then gets the whole again: a watcher holds up nobody and makes nothing grow.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "router/http/server/exchange.h"
#include "router/page/news.h"

namespace atoll::router::page {

struct PageFeedOptions {
  std::function<ClusterReport(bool expert_counts)> cluster;
  std::function<RequestTotals()> requests;
  std::function<std::vector<NamedHistogram>()> latencies;
  PageFacts facts;
  int64_t period_ms = 1000;
  size_t watchers_max = 64;
};

// Thread-safe. Outlives the server that calls it.
class PageFeed {
 public:
  explicit PageFeed(PageFeedOptions options);
  ~PageFeed();

  // Streams to `exchange` until its client leaves; 429 where watchers_max watch already, 503 after Stop.
  void Watch(std::shared_ptr<http::Exchange> exchange);
  // Ends all streams. Nothing is looked at afterwards.
  void Stop();
  size_t watchers() const;

 private:
  struct Watcher {
    std::shared_ptr<http::Exchange> exchange;  // shared with the server while it is answered
    bool writing = false;                      // its last piece is not taken yet
    bool needs_whole = true;
  };

  void Run();
  bool WaitForWork(int64_t until_ns);
  void Look(bool with_experts);
  void Tell(bool to_new_ones_alone);
  void Send(const std::shared_ptr<Watcher>& watcher, const std::string& piece);
  void Remove(const std::shared_ptr<Watcher>& watcher);

  const PageFeedOptions options_;
  const SteadyClock clock_;
  News news_;                         // of the feed's thread
  bool looked_with_experts_ = false;  // of the feed's thread: the newest look

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Watcher>> watchers_;
  bool someone_new_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace atoll::router::page
