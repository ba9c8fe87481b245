#include "router/page/page_feed.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "router/http/api/api_error.h"

namespace atoll::router::page {
namespace {

int64_t UnixMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

http::Response StreamHead() {
  return {.status = 200, .content_type = "text/event-stream", .headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}}, .body = ""};
}

absl::Status TooMany(size_t watchers) {
  return WithErrorInfo(absl::ResourceExhaustedError(absl::StrCat("the page's feed has ", watchers, " watchers, which is its maximum; try again later")),
                       {.reason = "TOO_MANY_WATCHERS", .metadata = {}, .retry_after_ms = 5000});
}

}  // namespace

PageFeed::PageFeed(PageFeedOptions options) : options_(std::move(options)), news_(options_.facts), thread_([this] { Run(); }) {}

PageFeed::~PageFeed() { Stop(); }

void PageFeed::Watch(std::shared_ptr<http::Exchange> exchange) {
  const auto watcher = std::make_shared<Watcher>();
  watcher->exchange = exchange;
  std::unique_lock lock(mutex_);
  if (stopped_) return exchange->Respond(http::ErrorResponse(503, "the router is shutting down"));
  if (watchers_.size() >= options_.watchers_max) return exchange->Respond(http::ErrorResponse(TooMany(watchers_.size())));
  watchers_.push_back(watcher);
  exchange->Stream(StreamHead(), ": still here\n\n");
  exchange->OnGone([this, watcher] { Remove(watcher); });
  someone_new_ = true;
  changed_.notify_all();
}

void PageFeed::Remove(const std::shared_ptr<Watcher>& watcher) {
  std::shared_ptr<http::Exchange> dropped;  // after the lock
  std::lock_guard lock(mutex_);
  dropped = std::move(watcher->exchange);
  std::erase(watchers_, watcher);
}

size_t PageFeed::watchers() const {
  std::lock_guard lock(mutex_);
  return watchers_.size();
}

void PageFeed::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  std::vector<std::shared_ptr<http::Exchange>> open;  // dropped after the lock; their OnGone holds the watchers, which must not hold them
  std::lock_guard lock(mutex_);
  for (const auto& watcher : watchers_) {
    watcher->exchange->Finish("event: end\ndata: {}\n\n");
    open.push_back(std::move(watcher->exchange));
  }
  watchers_.clear();
}

// False when the feed has been stopped.
bool PageFeed::WaitForWork(int64_t until_ns) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::nanoseconds(std::max<int64_t>(until_ns - clock_.NowNs(), 0)), [this] { return stopped_ || someone_new_; });
  return !stopped_;
}

void PageFeed::Run() {
  int64_t next_ns = clock_.NowNs();
  while (WaitForWork(next_ns)) {
    const bool due = clock_.NowNs() >= next_ns;
    const bool look = due || !looked_with_experts_;
    if (look) Look(watchers() > 0);
    Tell(/*to_new_ones_alone=*/!look);
    if (due) next_ns = std::max(next_ns + options_.period_ms * 1000000, clock_.NowNs());
  }
}

// Rows per expert are copied and compared only where somebody sees them.
void PageFeed::Look(bool with_experts) {
  looked_with_experts_ = with_experts;
  news_.Take({.cluster = options_.cluster(with_experts), .requests = options_.requests(), .latencies = options_.latencies(), .unix_ms = UnixMs(), .with_experts = with_experts});
}

void PageFeed::Tell(bool to_new_ones_alone) {
  std::string whole, latest;  // made once, where needed
  std::lock_guard lock(mutex_);
  someone_new_ = false;
  for (const auto& watcher : watchers_) {
    if (to_new_ones_alone && !watcher->needs_whole) continue;
    if (watcher->writing) {
      watcher->needs_whole = true;
    } else if (std::exchange(watcher->needs_whole, false)) {
      if (whole.empty()) whole = news_.Whole();
      Send(watcher, whole);
    } else {
      if (latest.empty()) latest = news_.New();
      Send(watcher, latest);
    }
  }
}

// Called with the lock: an exchange neither blocks nor calls back from within.
void PageFeed::Send(const std::shared_ptr<Watcher>& watcher, const std::string& piece) {
  watcher->writing = true;
  watcher->exchange->Write(piece, [this, watcher](bool) {
    std::lock_guard lock(mutex_);
    watcher->writing = false;
  });
}

}  // namespace atoll::router::page
