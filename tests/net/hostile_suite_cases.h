#pragma once

// The second half of the suite of all kinds of link: peers that break the protocol. Instantiate HostileSuite too.

#include <array>

#include "tests/net/link_suite_cases.h"
#include "tests/net/raw_peer.h"

namespace atoll::net {

// What a hostile peer does to `right`, while left's link must go on.
class HostileSuite : public LinkSuite {
 protected:
  void SetUp() override {
    LinkSuite::SetUp();
    OpenLink();
    raw_ = std::make_unique<RawPeer>(network_->OpenTransport("raw"));
    ASSERT_TRUE(raw_->Connect(right_->data_address()));
  }
  void TearDown() override {
    ASSERT_TRUE(MakeDispatch(999, 1, TestTerms().limits).SendOn(*near_).ok());
    EXPECT_TRUE(PollUntil(both(), [&] { return !right_handler_.frames.empty() && right_handler_.frames.back().header.step == 999; }));
    raw_.reset();
    LinkSuite::TearDown();
  }
  bool Until(const std::function<bool()>& done) {
    return PollUntil(both(), [&] {
      raw_->Progress();
      return done();
    });
  }
  SessionTicket OpenRawSession() {
    const auto ticket = right_->AllowSession("raw", TestTerms(8));
    raw_->SendHello(*ticket);
    EXPECT_TRUE(Until([&] { return right_handler_.opened.size() == 2 && raw_->messages > 0; }));
    return *ticket;
  }
  const Link& raw_link() { return *right_handler_.opened.at(1); }
  void ExpectSessionEnds() {
    ASSERT_TRUE(Until([&] { return right_handler_.closed.size() == 1; }));
    EXPECT_EQ(right_handler_.closed[0].code(), absl::StatusCode::kInvalidArgument) << right_handler_.closed[0];
    EXPECT_EQ(right_handler_.opened.size(), 1u);
  }

  std::unique_ptr<RawPeer> raw_;
};

TEST_P(HostileSuite, B54_AStrangerThatSendsNonsenseIsRefused) {
  std::array<std::byte, kHeaderBytes> nonsense;
  nonsense.fill(std::byte{0x5A});
  const std::vector<std::byte> payload(kPartBytesMax, std::byte{0x5A});
  for (int i = 0; i < 10; ++i) raw_->Send(nonsense, payload);
  ASSERT_TRUE(Until([&] { return raw_->losses == 1; }));
  EXPECT_EQ(right_->counters().refused_handshakes, 1u);
  EXPECT_TRUE(right_handler_.frames.empty());
}

TEST_P(HostileSuite, B58_DataBeforeTheHandshakeIsRefused) {
  const auto ticket = right_->AllowSession("raw", TestTerms());
  const TestFrame frame = MakeDispatch(1, 1, TestTerms().limits);
  raw_->SendFrame(frame.header, frame.payload, *ticket);
  ASSERT_TRUE(Until([&] { return raw_->losses == 1; }));
  EXPECT_EQ(right_->counters().refused_handshakes, 1u);
}

TEST_P(HostileSuite, B54_B57_ThreeMalformedFramesEndASession) {
  const SessionTicket ticket = OpenRawSession();
  TestFrame frame = MakeDispatch(1, 1, TestTerms().limits);
  frame.header.layer = 1000;
  raw_->SendFrame(frame.header, frame.payload, ticket);
  raw_->SendFrame(frame.header, frame.payload, ticket);
  ASSERT_TRUE(Until([&] { return raw_link().counters().dropped_malformed == 2; }));
  EXPECT_EQ(raw_link().state(), LinkState::kOpen);
  raw_->SendFrame(frame.header, frame.payload, ticket);
  ExpectSessionEnds();
  EXPECT_TRUE(right_handler_.frames.empty());
}

TEST_P(HostileSuite, B58_OneWrongMacEndsASession) {
  SessionTicket ticket = OpenRawSession();
  ticket.mac_key[0] ^= std::byte{1};
  const TestFrame frame = MakeDispatch(1, 1, TestTerms().limits);
  raw_->SendFrame(frame.header, frame.payload, ticket);
  ExpectSessionEnds();
}

TEST_P(HostileSuite, B59_RepeatedStaleAndReflectedFramesAreDropped) {
  const SessionTicket ticket = OpenRawSession();
  TestFrame frame = MakeDispatch(1, 1, TestTerms().limits);
  frame.header.incarnation = 77;
  frame.header.sequence = 5;
  raw_->SendFrame(frame.header, frame.payload, ticket);
  raw_->SendFrame(frame.header, frame.payload, ticket);
  frame.header.sequence = 4;
  raw_->SendFrame(frame.header, frame.payload, ticket);
  ASSERT_TRUE(Until([&] { return raw_link().counters().dropped_repeated == 2; }));
  frame.header.sequence = 6;
  frame.header.incarnation = 76;
  raw_->SendFrame(frame.header, frame.payload, ticket);
  ASSERT_TRUE(Until([&] { return raw_link().counters().dropped_stale == 1; }));
  frame.header.incarnation = 77;
  frame.header.flags = kFlagFromListener;
  raw_->SendFrame(frame.header, frame.payload, ticket);
  ASSERT_TRUE(Until([&] { return raw_link().counters().dropped_malformed == 1; }));
  EXPECT_EQ(right_handler_.frames.size(), 1u);
}

TEST_P(HostileSuite, FramesBeyondTheWindowEndASession) {
  const SessionTicket ticket = OpenRawSession();
  TestFrame frame = MakeDispatch(1, 1, TestTerms().limits);
  frame.header.incarnation = 77;
  for (uint64_t sequence : {1000, 1001, 1002}) {
    frame.header.sequence = sequence;
    raw_->SendFrame(frame.header, frame.payload, ticket);
  }
  ExpectSessionEnds();
}

TEST_P(HostileSuite, B60_StrangersAreCappedAndTimedOut) {
  NotingHandler handler;
  const auto small = network_->Open({.name = "small", .handshake_timeout_ms = 100, .strangers_max = 2}, handler);
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 4; ++i) {
    peers.push_back(std::make_unique<RawPeer>(network_->OpenTransport(absl::StrCat("stranger", i))));
    ASSERT_TRUE(peers.back()->Connect(small->data_address()));
  }
  ASSERT_TRUE(PollUntil({small.get()}, [&] {
    for (auto& peer : peers) peer->Progress();
    return small->counters().refused_connections == 2 && small->counters().refused_handshakes == 2;
  }));
  EXPECT_EQ(small->counters().accepted, 4u);
}

}  // namespace atoll::net
