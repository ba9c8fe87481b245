// The feed's watchers: who gets what, who is refused, who is left out.

#include "router/page/page_feed.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/base/wait_for.h"

namespace atoll::router::page {
namespace {

// An answer that is read as fast as the test wants.
class FakeExchange final : public http::Exchange {
 public:
  void Respond(http::Response response) override { status = response.status; }
  void Stream(http::Response, std::string) override { streaming = true; }
  void Write(std::string piece, std::function<void(bool)> written) override {
    std::lock_guard lock(mutex_);
    pieces_.push_back(std::move(piece));
    if (!reading) {
      unread_ = std::move(written);
    } else {
      written_.push_back(std::move(written));
    }
  }
  void Finish(std::string) override {
    finished = true;
    gone_ = nullptr;
  }
  void Fail(http::Response, std::string) override {}
  void OnGone(std::function<void()> gone) override { gone_ = std::move(gone); }

  // What a server's thread would call back.
  void CallBack() {
    std::vector<std::function<void(bool)>> calls;
    {
      std::lock_guard lock(mutex_);
      calls.swap(written_);
      if (reading && unread_) calls.push_back(std::exchange(unread_, nullptr));
    }
    for (const auto& call : calls) call(true);
  }
  void Leave() { gone_(); }
  std::vector<std::string> pieces() {
    CallBack();
    std::lock_guard lock(mutex_);
    return pieces_;
  }
  size_t count() { return pieces().size(); }

  std::atomic<int> status{0};
  std::atomic<bool> streaming{false}, finished{false}, reading{true};

 private:
  std::mutex mutex_;
  std::vector<std::string> pieces_;
  std::vector<std::function<void(bool)>> written_;
  std::function<void(bool)> unread_;
  std::function<void()> gone_;
};

class FeedTest : public testing::Test {
 protected:
  std::unique_ptr<PageFeed> Make(size_t watchers_max = 8, int64_t period_ms = 2) {
    return std::make_unique<PageFeed>(PageFeedOptions{.cluster = [this](bool experts) {
                                                        ++(experts ? looks_with_experts_ : looks_);
                                                        return ClusterReport{};
                                                      },
                                                      .requests = [] { return RequestTotals{}; },
                                                      .latencies = [] { return std::vector<NamedHistogram>{}; },
                                                      .facts = {.model = "m"},
                                                      .period_ms = period_ms,
                                                      .watchers_max = watchers_max});
  }
  static bool IsWhole(const std::string& piece) { return piece.starts_with("event: facts\n"); }

  std::atomic<int> looks_{0}, looks_with_experts_{0};
};

TEST_F(FeedTest, TheFirstPieceIsWholeAndComesAtOnce) {
  const auto feed = Make(8, 3600 * 1000);
  EXPECT_TRUE(WaitFor([&] { return looks_ == 1; }));
  const auto watcher = std::make_shared<FakeExchange>();
  feed->Watch(watcher);
  ASSERT_TRUE(WaitFor([&] { return watcher->count() == 1; }));
  EXPECT_TRUE(watcher->streaming);
  EXPECT_TRUE(IsWhole(watcher->pieces()[0]));
  const auto second = std::make_shared<FakeExchange>();
  feed->Watch(second);
  ASSERT_TRUE(WaitFor([&] { return second->count() == 1; }));
  EXPECT_EQ(watcher->count(), 1u) << "nothing new has been looked at";
}

TEST_F(FeedTest, ExpertsAreLookedAtOnlyWhileSomebodyWatches) {
  const auto feed = Make();
  EXPECT_TRUE(WaitFor([&] { return looks_ >= 3; }));
  EXPECT_EQ(looks_with_experts_, 0);
  const auto watcher = std::make_shared<FakeExchange>();
  feed->Watch(watcher);
  EXPECT_TRUE(WaitFor([&] { return watcher->count() >= 4; }));
  EXPECT_GE(looks_with_experts_, 3);
  EXPECT_TRUE(WaitFor([&] { return !IsWhole(watcher->pieces().back()); }));
  watcher->Leave();
  EXPECT_EQ(feed->watchers(), 0u);
  const int before = looks_;
  EXPECT_TRUE(WaitFor([&] { return looks_ >= before + 3; }));
}

TEST_F(FeedTest, WhoDoesNotReadIsLeftOutAndThenGetsTheWhole) {
  const auto feed = Make();
  const auto slow = std::make_shared<FakeExchange>(), fast = std::make_shared<FakeExchange>();
  slow->reading = false;
  feed->Watch(slow);
  feed->Watch(fast);
  ASSERT_TRUE(WaitFor([&] { return fast->count() >= 6; }));
  EXPECT_EQ(slow->count(), 1u);
  slow->reading = true;
  ASSERT_TRUE(WaitFor([&] { return slow->count() >= 3; }));
  EXPECT_TRUE(IsWhole(slow->pieces()[1]));
  EXPECT_TRUE(WaitFor([&] { return !IsWhole(slow->pieces().back()); }));
}

TEST_F(FeedTest, ThereIsAMostOfWatchers) {
  const auto feed = Make(2);
  const auto first = std::make_shared<FakeExchange>(), second = std::make_shared<FakeExchange>(), third = std::make_shared<FakeExchange>();
  feed->Watch(first);
  feed->Watch(second);
  feed->Watch(third);
  EXPECT_EQ(third->status, 429);
  EXPECT_FALSE(third->streaming);
  first->Leave();
  const auto fourth = std::make_shared<FakeExchange>();
  feed->Watch(fourth);
  EXPECT_TRUE(fourth->streaming);
}

TEST_F(FeedTest, StopEndsAllStreams) {
  const auto feed = Make();
  const auto watcher = std::make_shared<FakeExchange>(), late = std::make_shared<FakeExchange>();
  feed->Watch(watcher);
  feed->Stop();
  EXPECT_TRUE(watcher->finished);
  feed->Watch(late);
  EXPECT_EQ(late->status, 503);
}

}  // namespace
}  // namespace atoll::router::page
