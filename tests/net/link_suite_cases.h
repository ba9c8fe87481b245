#pragma once

// The one suite that every kind of link passes. A test program instantiates LinkSuite with its kinds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "net/link_ticker.h"
#include "tests/net/link_suite.h"

namespace atoll::net {

class LinkSuite : public testing::TestWithParam<NetworkKind> {
 protected:
  void SetUp() override {
    network_ = GetParam().make();
    left_ = network_->Open({.name = "left", .incarnation = 11}, left_handler_);
    right_ = network_->Open({.name = "right", .incarnation = 22}, right_handler_);
    ASSERT_TRUE(left_ && right_);
  }

  void TearDown() override {
    if (left_ == nullptr || right_ == nullptr) return;
    const LinkTicker ticker(*right_);  // reads the last words, so that nobody waits for it
    left_.reset();
  }

  // Opens a session from left to right.
  void OpenLink(const SessionTerms& terms = TestTerms()) {
    const auto ticket = right_->AllowSession("left", terms);
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    const auto link = left_->Connect(*ticket);
    ASSERT_TRUE(link.ok()) << link.status();
    near_ = *link;
    ASSERT_TRUE(PollUntil(both(), [&] { return !left_handler_.opened.empty() && !right_handler_.opened.empty(); }));
    far_ = right_handler_.opened.back();
  }
  std::vector<LinkHost*> both() { return {left_.get(), right_.get()}; }
  void ExpectClosed(const NotingHandler& handler, absl::StatusCode code) {
    ASSERT_TRUE(PollUntil(both(), [&] { return !handler.closed.empty(); }));
    EXPECT_EQ(handler.closed[0].code(), code) << handler.closed[0];
  }

  NotingHandler left_handler_, right_handler_;
  std::unique_ptr<TestNetwork> network_;
  std::unique_ptr<LinkHost> left_, right_;
  Link* near_ = nullptr;
  Link* far_ = nullptr;
};

TEST_P(LinkSuite, OpensAndKnowsThePeer) {
  OpenLink();
  EXPECT_EQ(near_->state(), LinkState::kOpen);
  EXPECT_EQ(near_->peer().name, "right");
  EXPECT_EQ(near_->peer().incarnation, 22u);
  EXPECT_EQ(far_->peer().name, "left");
  EXPECT_EQ(far_->peer().incarnation, 11u);
  EXPECT_EQ(far_->terms(), TestTerms());
}

TEST_P(LinkSuite, CarriesEveryFieldAndByte) {
  OpenLink();
  TestFrame frame = MakeDispatch(7, 3, TestTerms().limits);
  frame.header.epoch = 5;
  frame.header.layer = 3;
  frame.header.micro_batch = 1;
  frame.header.part = 1;
  frame.header.parts = 2;
  frame.header.attempt = 4;
  frame.header.deadline_us = 1000;
  frame.header.trace[24] = std::byte{9};
  const std::span<const std::byte> whole = frame.payload;
  const std::span<const std::byte> pieces[] = {whole.first(10), whole.subspan(10, 0), whole.subspan(10)};
  ASSERT_TRUE(near_->Send(frame.header, pieces).ok());
  ASSERT_TRUE(PollUntil(both(), [&] { return right_handler_.frames.size() == 1; }));
  const NotingHandler::Frame& got = right_handler_.frames[0];
  EXPECT_EQ(got.payload, frame.payload);
  frame.header.session = got.header.session;
  frame.header.incarnation = 11;
  frame.header.sequence = got.header.sequence;
  frame.header.granted = got.header.granted;
  frame.header.payload_bytes = static_cast<uint32_t>(frame.payload.size());
  EXPECT_EQ(got.header, frame.header);
}

TEST_P(LinkSuite, KeepsOrderOverAllSizesAndWindows) {
  OpenLink(TestTerms(8));
  constexpr uint64_t kFrames = 300;
  uint64_t next = 0;
  const auto send_some = [&] {
    for (; next < kFrames && near_->CanSend(); ++next) {
      const uint32_t rows = next % 50 == 49 ? 1900 : static_cast<uint32_t>(1 + next * 7 % 120);
      ASSERT_TRUE(MakeDispatch(next, rows, TestTerms().limits).SendOn(*near_).ok());
    }
  };
  ASSERT_TRUE(PollUntil(both(), [&] {
    send_some();
    return right_handler_.frames.size() == kFrames;
  }));
  for (uint64_t i = 0; i < kFrames; ++i) {
    ASSERT_EQ(right_handler_.frames[i].header.step, i);
    ASSERT_EQ(right_handler_.frames[i].payload, MakeDispatch(i, right_handler_.frames[i].header.row_count, TestTerms().limits).payload);
  }
}

TEST_P(LinkSuite, KeptBytesArriveAndAreLetGo) {
  OpenLink(TestTerms(64));
  const auto kept = std::make_shared<std::vector<std::byte>>(MakeDispatch(5, 1900, TestTerms().limits).payload);
  const std::span<const std::byte> whole = *kept;
  size_t sent = 0;
  for (const auto& pieces : {std::vector{whole}, std::vector{whole.first(100), whole.subspan(100)}}) {
    for (int i = 0; i < 20; ++i) sent += near_->SendKept(MakeDispatch(5, 1900, TestTerms().limits).header, pieces, kept).ok();
  }
  ASSERT_EQ(sent, 40u);
  ASSERT_TRUE(PollUntil(both(), [&] { return right_handler_.frames.size() == sent && kept.use_count() == 1; }));
  for (const auto& frame : right_handler_.frames) EXPECT_EQ(frame.payload, *kept);
}

TEST_P(LinkSuite, BothSidesSendAtOnce) {
  OpenLink();
  constexpr size_t kFrames = 100;
  size_t near_sent = 0, far_sent = 0;
  const TestFrame frame = MakeDispatch(1, 100, TestTerms().limits);
  ASSERT_TRUE(PollUntil(both(), [&] {
    while (near_sent < kFrames && near_->CanSend()) near_sent += frame.SendOn(*near_).ok();
    while (far_sent < kFrames && far_->CanSend()) far_sent += frame.SendOn(*far_).ok();
    return left_handler_.frames.size() == kFrames && right_handler_.frames.size() == kFrames;
  }));
}

TEST_P(LinkSuite, HandlersMayAnswerInTheCall) {
  OpenLink();
  right_handler_.on_frame = [&](Link& link, const FrameHeader& header, std::span<const std::byte>) {
    FrameHeader refuse;
    refuse.type = FrameType::kRefuse;
    refuse.step = header.step;
    refuse.code = static_cast<uint16_t>(RefuseReason::kOverloaded);
    EXPECT_TRUE(link.Send(refuse, {}).ok());
  };
  ASSERT_TRUE(MakeDispatch(42, 1, TestTerms().limits).SendOn(*near_).ok());
  ASSERT_TRUE(PollUntil(both(), [&] { return left_handler_.frames.size() == 1; }));
  EXPECT_EQ(left_handler_.frames[0].header.step, 42u);
  EXPECT_EQ(left_handler_.frames[0].header.code, 3);
}

TEST_P(LinkSuite, RefusesBeyondTheWindowAndTellsWhenThereIsRoom) {
  OpenLink(TestTerms(4));
  const TestFrame frame = MakeDispatch(1, 2, TestTerms().limits);
  int sent = 0;
  while (near_->CanSend()) sent += frame.SendOn(*near_).ok();
  EXPECT_LE(sent, 4);
  EXPECT_GE(sent, 3);  // the hello took one number
  EXPECT_EQ(frame.SendOn(*near_).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(near_->counters().refused_sends, 1u);
  ASSERT_TRUE(PollUntil(both(), [&] { return left_handler_.sendable == 1; }));
  EXPECT_TRUE(frame.SendOn(*near_).ok());
}

TEST_P(LinkSuite, AskingWhetherToSendIsEnoughToBeTold) {
  OpenLink(TestTerms(4));
  const TestFrame frame = MakeDispatch(1, 2, TestTerms().limits);
  while (near_->CanSend()) ASSERT_TRUE(frame.SendOn(*near_).ok());
  EXPECT_EQ(near_->counters().refused_sends, 0u);
  ASSERT_TRUE(PollUntil(both(), [&] { return left_handler_.sendable == 1; }));
}

TEST_P(LinkSuite, AnUnpolledReceiverHoldsABoundedNumber) {
  OpenLink(TestTerms(4));
  const TestFrame frame = MakeDispatch(1, 2, TestTerms().limits);
  int sent = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  while (std::chrono::steady_clock::now() < until) {  // heartbeats flow meanwhile, frames are not delivered
    while (near_->CanSend()) sent += frame.SendOn(*near_).ok();
    left_->Poll(std::chrono::milliseconds(5));
    right_->Tick();
  }
  EXPECT_LE(sent, 8);
  EXPECT_TRUE(right_handler_.frames.empty());
  EXPECT_TRUE(left_handler_.closed.empty() && right_handler_.closed.empty());
  ASSERT_TRUE(PollUntil(both(), [&] { return right_handler_.frames.size() == static_cast<size_t>(sent); }));
}

TEST_P(LinkSuite, RefusesFramesThatBreakTheLimits) {
  OpenLink();
  TestFrame frame = MakeDispatch(1, 2, TestTerms().limits);
  frame.header.layer = 4;
  EXPECT_EQ(frame.SendOn(*near_).code(), absl::StatusCode::kInvalidArgument);
  frame = MakeDispatch(1, 2, TestTerms().limits);
  frame.payload.pop_back();
  EXPECT_EQ(frame.SendOn(*near_).code(), absl::StatusCode::kInvalidArgument);
  FrameHeader heartbeat;
  EXPECT_EQ(near_->Send(heartbeat, {}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(near_->state(), LinkState::kOpen);
}

TEST_P(LinkSuite, CloseDeliversWhatWasSentAndTheReason) {
  OpenLink();
  ASSERT_TRUE(MakeDispatch(1, 1000, TestTerms().limits).SendOn(*near_).ok());
  near_->Close(absl::CancelledError("done here"));
  EXPECT_EQ(MakeDispatch(1, 1, TestTerms().limits).SendOn(*near_).code(), absl::StatusCode::kUnavailable);
  ExpectClosed(right_handler_, absl::StatusCode::kCancelled);
  EXPECT_EQ(right_handler_.frames.size(), 1u);
  ExpectClosed(left_handler_, absl::StatusCode::kCancelled);
  EXPECT_EQ(left_handler_.closed[0].message(), "done here");
  EXPECT_EQ(left_handler_.closed.size(), 1u);
}

TEST_P(LinkSuite, AHostThatEndsSaysGoodbye) {
  OpenLink();
  {
    const LinkTicker ticker(*left_);
    right_.reset();
  }
  ASSERT_TRUE(PollUntil({left_.get()}, [&] { return !left_handler_.closed.empty(); }));
  EXPECT_TRUE(left_handler_.closed[0].ok()) << left_handler_.closed[0];
}

TEST_P(LinkSuite, AHandlerMayCloseItsLink) {
  OpenLink();
  right_handler_.on_frame = [&](Link& link, const FrameHeader&, std::span<const std::byte>) { link.Close(absl::AbortedError("enough")); };
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(MakeDispatch(1, 1, TestTerms().limits).SendOn(*near_).ok());
  ExpectClosed(left_handler_, absl::StatusCode::kAborted);
  ExpectClosed(right_handler_, absl::StatusCode::kAborted);
  EXPECT_EQ(right_handler_.frames.size(), 1u);
}

TEST_P(LinkSuite, B58_ATicketIsGoodOnce) {
  const auto ticket = right_->AllowSession("left", TestTerms());
  ASSERT_TRUE(left_->Connect(*ticket).ok());
  ASSERT_TRUE(PollUntil(both(), [&] { return !left_handler_.opened.empty(); }));
  ASSERT_TRUE(left_->Connect(*ticket).ok());
  ExpectClosed(left_handler_, absl::StatusCode::kUnavailable);
  EXPECT_EQ(right_->counters().refused_handshakes, 1u);
  EXPECT_EQ(right_handler_.opened.size(), 1u);
}

TEST_P(LinkSuite, B58_AWrongKeyOrSessionIsRefusedAndDisturbsNobody) {
  OpenLink();
  auto ticket = right_->AllowSession("left", TestTerms());
  SessionTicket forged = *ticket;
  forged.mac_key[3] ^= std::byte{1};
  ASSERT_TRUE(left_->Connect(forged).ok());
  forged = *ticket;
  forged.session += 1;
  ASSERT_TRUE(left_->Connect(forged).ok());
  ASSERT_TRUE(PollUntil(both(), [&] { return left_handler_.closed.size() == 2; }));
  EXPECT_EQ(right_->counters().refused_handshakes, 2u);
  ASSERT_TRUE(left_->Connect(*ticket).ok());  // the true one still works
  ASSERT_TRUE(PollUntil(both(), [&] { return left_handler_.opened.size() == 2; }));
  ASSERT_TRUE(MakeDispatch(1, 1, TestTerms().limits).SendOn(*near_).ok());
  ASSERT_TRUE(PollUntil(both(), [&] { return right_handler_.frames.size() == 1; }));
}

TEST_P(LinkSuite, OtherTermsAreRefused) {
  auto ticket = right_->AllowSession("left", TestTerms());
  ticket->terms.model_fingerprint += 1;
  ASSERT_TRUE(left_->Connect(*ticket).ok());
  ExpectClosed(left_handler_, absl::StatusCode::kUnavailable);
  EXPECT_TRUE(right_handler_.opened.empty());
}

TEST_P(LinkSuite, WakeEndsAPoll) {
  std::thread waker([&] { left_->Wake(); });
  left_->Poll(std::chrono::hours(1));
  waker.join();
}

TEST_P(LinkSuite, ATickerKeepsTheLinkAliveWhileNobodyPolls) {
  OpenLink();
  const LinkTicker left_ticker(*left_), right_ticker(*right_);
  std::atomic<uint64_t> received{0};
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(900);
  while (std::chrono::steady_clock::now() < until) std::this_thread::yield();  // computing
  EXPECT_GE(near_->counters().frames_received, 5u);  // heartbeats
  left_->Poll(std::chrono::nanoseconds(0));
  right_->Poll(std::chrono::nanoseconds(0));
  EXPECT_TRUE(left_handler_.closed.empty() && right_handler_.closed.empty());
}

TEST_P(LinkSuite, OtherThreadsMaySend) {
  OpenLink();
  constexpr size_t kFrames = 200;
  std::atomic<bool> done{false};
  std::thread receiver([&] {
    while (!done) right_->Poll(std::chrono::milliseconds(1));
  });
  std::vector<std::thread> senders;
  for (int t = 0; t < 2; ++t) {
    senders.emplace_back([&, t] {
      const TestFrame frame = MakeDispatch(t, 10, TestTerms().limits);
      for (size_t sent = 0; sent < kFrames;) {
        if (frame.SendOn(*near_).ok()) ++sent; else std::this_thread::yield();
      }
    });
  }
  ASSERT_TRUE(PollUntil({left_.get()}, [&] { return far_->counters().frames_received >= 2 * kFrames; }));
  done = true;
  for (std::thread& sender : senders) sender.join();
  receiver.join();
  ASSERT_TRUE(PollUntil(both(), [&] { return right_handler_.frames.size() == 2 * kFrames; }));
}

TEST_P(LinkSuite, TicketsAreCapped) {
  NotingHandler handler;
  const auto small = network_->Open({.name = "small", .links_max = 2}, handler);
  ASSERT_TRUE(small->AllowSession("a", TestTerms()).ok());
  ASSERT_TRUE(small->AllowSession("b", TestTerms()).ok());
  EXPECT_EQ(small->AllowSession("c", TestTerms()).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace atoll::net
