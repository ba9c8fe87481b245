#include "net/memory/memory_network.h"

#include "net/session/channel.h"
#include "tests/net/hostile_suite_cases.h"

namespace atoll::net {
namespace {

class MemoryTestNetwork final : public TestNetwork {
 public:
  std::unique_ptr<LinkHost> Open(const LinkHostOptions& options, LinkHandler& handler) override {
    auto host = network_.OpenHost(options, handler);
    return host.ok() ? *std::move(host) : nullptr;
  }
  std::unique_ptr<Transport> OpenTransport(const std::string& name) override { return network_.OpenTransport(name); }

 private:
  MemoryNetwork network_;
};

const auto kKinds = testing::Values(NetworkKind{"memory", [] { return std::make_unique<MemoryTestNetwork>(); }});
std::string KindName(const testing::TestParamInfo<NetworkKind>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Memory, LinkSuite, kKinds, KindName);
INSTANTIATE_TEST_SUITE_P(Memory, HostileSuite, kKinds, KindName);

// Two hosts on a clock that the test moves.
class MemoryFaults : public testing::Test {
 protected:
  void SetUp() override {
    left_ = *network_.OpenHost({.name = "left"}, left_handler_);
    right_ = *network_.OpenHost({.name = "right"}, right_handler_);
    near_ = *left_->Connect(*right_->AllowSession("left", TestTerms()));
    Run(1);
    ASSERT_EQ(right_handler_.opened.size(), 1u);
  }
  void Run(int milliseconds) {
    for (int i = 0; i < milliseconds; ++i) {
      clock_.AdvanceNs(1'000'000);
      for (int round = 0; round < 4; ++round) {
        left_->Poll(std::chrono::nanoseconds(0));
        right_->Poll(std::chrono::nanoseconds(0));
      }
    }
  }
  void SendNumbered(uint64_t frames) {
    for (uint64_t step = 1; step <= frames;) {
      if (MakeDispatch(step, 1, TestTerms().limits).SendOn(*near_).ok()) ++step; else Run(1);
    }
    Run(100);
  }
  // Strictly rising steps: nothing twice, nothing late.
  void ExpectOrdered() {
    uint64_t last = 0;
    for (const auto& frame : right_handler_.frames) {
      EXPECT_GT(frame.header.step, last);
      last = frame.header.step;
    }
  }

  ManualClock clock_;
  MemoryNetwork network_{clock_};
  NotingHandler left_handler_, right_handler_;
  std::unique_ptr<LinkHost> left_, right_;
  Link* near_ = nullptr;
};

TEST_F(MemoryFaults, LossGivesCreditsBack) {
  network_.SetFaults({.seed = 1, .loss = 0.3});
  SendNumbered(500);
  EXPECT_GT(right_handler_.frames.size(), 250u);
  EXPECT_LT(right_handler_.frames.size(), 450u);
  ExpectOrdered();
  network_.SetFaults({});
  Run(100);
  EXPECT_TRUE(near_->CanSend());
}

TEST_F(MemoryFaults, DuplicatesAreDropped) {
  network_.SetFaults({.seed = 2, .duplicate = 0.5});
  SendNumbered(200);
  EXPECT_EQ(right_handler_.frames.size(), 200u);
  ExpectOrdered();
  EXPECT_GT(right_handler_.opened[0]->counters().dropped_repeated, 50u);
}

TEST_F(MemoryFaults, OvertakenFramesAreDropped) {
  network_.SetFaults({.seed = 3, .reorder = 0.2});
  SendNumbered(200);
  EXPECT_LT(right_handler_.frames.size(), 200u);
  EXPECT_GT(right_handler_.frames.size(), 100u);
  ExpectOrdered();
}

TEST_F(MemoryFaults, DelayKeepsOrder) {
  network_.SetFaults({.seed = 4, .delay_min_ns = 1'000'000, .delay_max_ns = 9'000'000});
  ASSERT_TRUE(MakeDispatch(1, 1, TestTerms().limits).SendOn(*near_).ok());
  left_->Poll(std::chrono::nanoseconds(0));
  right_->Poll(std::chrono::nanoseconds(0));
  EXPECT_TRUE(right_handler_.frames.empty());
  SendNumbered(100);
  EXPECT_EQ(right_handler_.frames.size(), 101u);
}

TEST_F(MemoryFaults, AFaultEndsBothSides) {
  network_.SetFaults({.seed = 5, .disconnect = 1});
  (void)MakeDispatch(1, 1, TestTerms().limits).SendOn(*near_);
  network_.SetFaults({});
  Run(2);
  ASSERT_EQ(left_handler_.closed.size(), 1u);
  ASSERT_EQ(right_handler_.closed.size(), 1u);
  EXPECT_EQ(left_handler_.closed[0].code(), absl::StatusCode::kUnavailable);
}

TEST_F(MemoryFaults, AKilledHostIsNoticedAtOnce) {
  network_.Disconnect("right");
  Run(1);
  ASSERT_EQ(left_handler_.closed.size(), 1u);
  EXPECT_EQ(left_handler_.closed[0].code(), absl::StatusCode::kUnavailable);
}

TEST_F(MemoryFaults, ASilentHostIsNoticedAfterHalfASecond) {
  Run(100);
  network_.SetSilent("right", true);
  Run(400);
  EXPECT_TRUE(left_handler_.closed.empty());
  Run(200);
  ASSERT_EQ(left_handler_.closed.size(), 1u);
  EXPECT_EQ(left_handler_.closed[0].code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(left_handler_.closed[0].message()), testing::HasSubstr("silent for 500 ms"));
}

TEST_F(MemoryFaults, AnObserverThatSleptBlamesNobody) {
  Run(100);
  clock_.AdvanceNs(5'000'000'000);  // neither side ran
  Run(200);
  EXPECT_TRUE(left_handler_.closed.empty() && right_handler_.closed.empty());
}

TEST_F(MemoryFaults, AHandshakeWithoutAnswerEnds) {
  NotingHandler handler;
  const auto third = *network_.OpenHost({.name = "third"}, handler);
  const auto ticket = *right_->AllowSession("third", TestTerms());
  network_.SetSilent("right", true);
  ASSERT_TRUE(third->Connect(ticket).ok());
  clock_.AdvanceNs(3'100'000'000);
  third->Poll(std::chrono::nanoseconds(0));
  ASSERT_EQ(handler.closed.size(), 1u);
  EXPECT_EQ(handler.closed[0].code(), absl::StatusCode::kUnavailable);
}

TEST_F(MemoryFaults, ATicketExpires) {
  const auto ticket = *right_->AllowSession("left", TestTerms());
  network_.SetSilent("right", true);
  clock_.AdvanceNs(31'000'000'000);
  right_->Poll(std::chrono::nanoseconds(0));
  network_.SetSilent("right", false);
  ASSERT_TRUE(left_->Connect(ticket).ok());
  Run(2);
  EXPECT_EQ(right_->counters().refused_handshakes, 1u);
}

}  // namespace
}  // namespace atoll::net
