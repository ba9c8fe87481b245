// What a host owes its peers while one of its threads is held up: in a wait that does not end, or in a look-up.

#include "net/session/session_host.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/memory/memory_network.h"
#include "tests/net/link_suite.h"

namespace atoll::net {
namespace {

// A place where a thread is held while the gate is shut, and where it is known to be.
class Gate {
 public:
  void Shut() { Set(false); }
  void Open() { Set(true); }
  void Pass() {
    std::unique_lock lock(mutex_);
    held_ = !open_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    held_ = false;
  }
  void WaitUntilHeld() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return held_; });
  }

 private:
  void Set(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  bool held_ = false;
};

struct Gates {
  Gate wait, resolve;
};

class GatedTransport final : public Transport {
 public:
  GatedTransport(std::unique_ptr<Transport> inner, Gates& gates) : inner_(std::move(inner)), gates_(gates) {}

  void Attach(TransportEvents& events) override { inner_->Attach(events); }
  absl::StatusOr<std::string> Resolve(const std::string& address) const override {
    gates_.resolve.Pass();
    return inner_->Resolve(address);
  }
  absl::StatusOr<Channel*> Connect(const std::string& address) override { return inner_->Connect(address); }
  void Release(Channel& channel, ReleaseMode mode) override { inner_->Release(channel, mode); }
  bool Progress() override { return inner_->Progress(); }
  bool Arm() override { return inner_->Arm(); }
  void Wait(std::chrono::nanoseconds) override { gates_.wait.Pass(); }
  void Wake() override { inner_->Wake(); }
  std::string address() const override { return inner_->address(); }

 private:
  const std::unique_ptr<Transport> inner_;
  Gates& gates_;
};

constexpr auto kNow = std::chrono::nanoseconds(0);

class HeldUpHost : public testing::Test {
 protected:
  void SetUp() override {
    right_ = *network_.OpenHost({.name = "right"}, right_handler_);
    ASSERT_TRUE(left_.Connect(*right_->AllowSession("left", TestTerms())).ok());
    Exchange();
    ASSERT_EQ(left_handler_.opened.size(), 1u);
    ASSERT_EQ(right_handler_.opened.size(), 1u);
  }
  void Exchange() {
    for (int i = 0; i < 4; ++i) {
      left_.Poll(kNow);
      right_->Poll(kNow);
    }
  }
  // A second passes, in which the right host polls and `left` does what it can.
  template <typename Left>
  void LetASecondPass(Left left) {
    for (int i = 0; i < 100; ++i) {
      clock_.AdvanceNs(10'000'000);
      left();
      right_->Poll(kNow);
    }
  }

  ManualClock clock_;
  MemoryNetwork network_{clock_};
  Gates gates_;
  NotingHandler left_handler_, right_handler_;
  SessionHost left_{{.name = "left"}, left_handler_, clock_, std::make_unique<GatedTransport>(network_.OpenTransport("left"), gates_)};
  std::unique_ptr<LinkHost> right_;
};

TEST_F(HeldUpHost, ATickSendsHeartbeatsWhileThePollingThreadGetsNoProcessor) {
  gates_.wait.Shut();
  std::thread polling([&] { left_.Poll(std::chrono::hours(1)); });
  gates_.wait.WaitUntilHeld();
  LetASecondPass([&] { left_.Tick(); });
  EXPECT_TRUE(right_handler_.closed.empty());
  LetASecondPass([] {});  // without ticks the peer does give up
  EXPECT_EQ(right_handler_.closed.size(), 1u);
  left_.Wake();
  gates_.wait.Open();
  polling.join();
}

TEST_F(HeldUpHost, ALookUpThatTakesLongHoldsUpNoOtherLink) {
  const auto ticket = *right_->AllowSession("left", TestTerms());
  gates_.resolve.Shut();
  std::thread connecting([&] { EXPECT_TRUE(left_.Connect(ticket).ok()); });
  gates_.resolve.WaitUntilHeld();
  LetASecondPass([&] { left_.Poll(kNow); });
  EXPECT_TRUE(left_handler_.closed.empty() && right_handler_.closed.empty());
  gates_.resolve.Open();
  connecting.join();
  Exchange();
  EXPECT_EQ(right_handler_.opened.size(), 2u);
}

}  // namespace
}  // namespace atoll::net
