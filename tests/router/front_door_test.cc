// The front door with a host of sequences that is a thread of the test: no gRPC, so that a thread sanitizer sees it all.

#include "router/inference/front_door.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <thread>

#include "base/error_info.h"

namespace atoll::router {
namespace {

// Samples token 7 for every sequence, round by round, from one thread.
class FakeClient final : public AttentionClient {
 public:
  ~FakeClient() override { Close(); }

  absl::Status Submit(std::shared_ptr<RequestStream> stream) override {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return absl::UnavailableError("closed");
      for (int32_t i = 0; i < stream->request().n; ++i) places_[stream->sequence_id(i)] = {stream, i, 0};
    }
    stream->SetHost(shared_from_this());
    return absl::OkStatus();
  }
  void CancelSequence(uint64_t id) override {
    std::shared_ptr<RequestStream> keep;
    std::lock_guard lock(mutex_);
    const auto found = places_.find(id);
    if (found == places_.end()) return;
    keep = found->second.stream;
    places_.erase(found);
  }
  int64_t sequences() const override {
    std::lock_guard lock(mutex_);
    return static_cast<int64_t>(places_.size());
  }
  int64_t tokens() const override { return 0; }
  int64_t prompt_tokens() const override { return 0; }
  std::function<void()> TraceStep(const StepTraceCall&, std::function<void(absl::StatusOr<StepTrace>)> done) override {
    done(absl::UnimplementedError("no steps here"));
    return [] {};
  }
  void Close() override {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }

  // One token for every sequence.
  void Step() {
    std::map<uint64_t, Place> places;
    {
      std::lock_guard lock(mutex_);
      places = places_;
      for (auto it = places_.begin(); it != places_.end();) {
        it = ++it->second.sampled == it->second.stream->request().max_tokens ? places_.erase(it) : std::next(it);
      }
    }
    for (auto& [id, place] : places) {
      SequenceEvent event;
      event.tokens.push_back({.token_id = 7, .logprob = 0, .top = {}});
      const bool last = place.sampled + 1 == place.stream->request().max_tokens;
      if (last) event.end = SequenceEnd{.reason = EndReason::kLength, .failure = absl::OkStatus(), .times = {}};
      place.stream->OnEvent(place.choice, std::move(event));
    }
  }

 private:
  struct Place {
    std::shared_ptr<RequestStream> stream;
    int32_t choice = 0;
    int32_t sampled = 0;
  };
  mutable std::mutex mutex_;
  std::map<uint64_t, Place> places_;
  bool closed_ = false;
};

class FakeSource final : public ServingSource {
 public:
  explicit FakeSource(std::shared_ptr<AttentionClient> client)
      : serving_(std::make_shared<const Serving>(Serving{.seats = {{std::move(client), 64, 1024, 2048}}, .not_ready_reason = ""})) {}
  std::shared_ptr<const Serving> serving() const override { return serving_; }
  uint64_t MintSequenceIds(int32_t count) override { return next_.fetch_add(count); }

 private:
  const std::shared_ptr<const Serving> serving_;
  std::atomic<uint64_t> next_{1};
};

// A client whose writes are acknowledged by the thread that waits for its end.
class WaitingSink final : public ResponseSink {
 public:
  void Write(const ResponseDelta& delta) override {
    std::lock_guard lock(mutex_);
    for (const ChoiceDelta* choice : delta.choices) tokens_ += choice->tokens.size();
    if (delta.summary != nullptr) {
      ended_ = true;
    } else {
      written_ = true;
    }
    changed_.notify_all();
  }
  void End(const absl::Status& status) override {
    std::lock_guard lock(mutex_);
    status_ = status;
    ended_ = true;
    changed_.notify_all();
  }
  // Leaves when it has `tokens_before_leaving`.
  void ReadAll(RequestStream& stream, size_t tokens_before_leaving) {
    std::unique_lock lock(mutex_);
    while (!ended_) {
      changed_.wait(lock, [&] { return ended_ || written_; });
      if (ended_) return;
      written_ = false;
      const bool leave = tokens_ >= tokens_before_leaving;
      lock.unlock();
      if (leave) stream.Fail(absl::CancelledError("left"));
      stream.OnWriteDone(!leave);
      lock.lock();
    }
  }
  size_t tokens_ = 0;
  absl::Status status_;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool written_ = false;
  bool ended_ = false;
};

class FrontDoorTest : public testing::Test {
 protected:
  FrontDoorTest() : model_(ServedModel::Load(ATOLL_SOURCE_DIR "/checkpoints/tales", "")) {}
  static GenerateCall Call(int64_t max_tokens, int32_t n) {
    GenerateCall call;
    call.input = TokenPrompt{1, 2};
    call.stopping.max_tokens = max_tokens;
    call.n = n;
    return call;
  }

  absl::StatusOr<ServedModel> model_;
  SteadyClock clock_;
};

TEST_F(FrontDoorTest, ManyClientsComeReadAndLeaveAtOnce) {
  ASSERT_TRUE(model_.ok()) << model_.status();
  const auto client = std::make_shared<FakeClient>();
  FakeSource source(client);
  FrontDoor door({}, &*model_, &clock_, &source);
  std::atomic<bool> stop{false};
  std::thread stepper([&] { while (!stop) client->Step(); });
  std::thread ticker([&] { while (!stop) door.Tick(); });
  std::atomic<int64_t> whole{0};
  std::atomic<int64_t> left{0};
  std::vector<std::thread> clients;
  for (uint32_t c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      std::mt19937 random(c);
      for (int i = 0; i < 50; ++i) {
        WaitingSink sink;
        std::shared_ptr<RequestStream> stream;
        const int64_t max_tokens = 1 + random() % 20;
        const int32_t n = 1 + static_cast<int32_t>(random() % 3);
        const absl::Status status = door.Generate(Call(max_tokens, n), &sink, [&](std::shared_ptr<RequestStream> s) { stream = std::move(s); });
        ASSERT_TRUE(status.ok()) << status;
        const size_t leave_at = random() % 2 == 0 ? SIZE_MAX : random() % 10;
        sink.ReadAll(*stream, leave_at);
        if (sink.status_.ok()) {
          EXPECT_EQ(sink.tokens_, static_cast<size_t>(max_tokens * n));
          ++whole;
        } else {
          EXPECT_EQ(sink.status_.code(), absl::StatusCode::kCancelled);
          ++left;
        }
      }
    });
  }
  for (std::thread& thread : clients) thread.join();
  stop = true;
  stepper.join();
  ticker.join();
  EXPECT_EQ(whole + left, 200);
  EXPECT_EQ(door.totals().running, 0);
  EXPECT_EQ(door.totals().requests, 200);
  EXPECT_EQ(door.totals().cancelled, left);
  EXPECT_EQ(client->sequences(), 0);
}

TEST_F(FrontDoorTest, EndsWhatOutlivesItsDeadline) {
  ASSERT_TRUE(model_.ok()) << model_.status();
  const auto client = std::make_shared<FakeClient>();
  FakeSource source(client);
  ManualClock clock;
  FrontDoor door({.admission = {}, .request_timeout_ms = 1000, .random_seed = 1}, &*model_, &clock, &source);
  WaitingSink sink;
  ASSERT_TRUE(door.Generate(Call(5, 1), &sink, [](std::shared_ptr<RequestStream>) {}).ok());
  door.Tick();
  EXPECT_EQ(door.totals().running, 1);
  clock.AdvanceNs(1'000'000'000);
  door.Tick();
  EXPECT_EQ(sink.status_.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(door.totals().running, 0);
  EXPECT_EQ(client->sequences(), 0);
}

TEST_F(FrontDoorTest, TheSeedThatAClientLeavesOutIsChosenAndUsed) {
  ASSERT_TRUE(model_.ok()) << model_.status();
  const auto client = std::make_shared<FakeClient>();
  FakeSource source(client);
  FrontDoor door({.admission = {}, .random_seed = 5}, &*model_, &clock_, &source);
  uint64_t seeds[2] = {};
  WaitingSink sinks[2];
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(door.Generate(Call(5, 1), &sinks[i], [&](const std::shared_ptr<RequestStream>& s) { seeds[i] = s->request().sampling.seed; }).ok());
  }
  EXPECT_NE(seeds[0], seeds[1]);
  door.FailAll(absl::UnavailableError("over"));
  EXPECT_EQ(sinks[0].status_.code(), absl::StatusCode::kUnavailable);
}

TEST_F(FrontDoorTest, ThinkingIsRefusedWhereTheFormatHasNone) {
  ASSERT_TRUE(model_.ok()) << model_.status();
  FakeSource source(std::make_shared<FakeClient>());
  const FrontDoor door({}, &*model_, &clock_, &source);
  FrontDoor::TokenizeCall call;
  call.input = ChatPrompt{.messages = {{.role = "user", .content = "hi", .tool_calls = {}}}, .thinking = true};
  EXPECT_EQ(door.Tokenize(call).status().code(), absl::StatusCode::kInvalidArgument);
  std::get<ChatPrompt>(call.input).thinking = false;
  EXPECT_TRUE(door.Tokenize(call).ok());
}

}  // namespace
}  // namespace atoll::router
