#include <gtest/gtest.h>

#include "net/session/credit.h"
#include "net/session/peer_watch.h"

namespace atoll::net {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(Credit, TheSenderNeverOverrunsTheReceiver) {
  SendCredit sender(4);
  ReceiveCredit receiver(4);
  EXPECT_FALSE(sender.HasCredit());
  sender.OnGranted(receiver.Advertise());
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(sender.HasCredit());
    EXPECT_EQ(receiver.OnFrame(sender.Take(), true), ReceiveCredit::Verdict::kAccept);
  }
  EXPECT_FALSE(sender.HasCredit());
  EXPECT_FALSE(receiver.IsOverdue());
  receiver.OnDelivered();
  receiver.OnDelivered();
  EXPECT_TRUE(receiver.IsOverdue());
  sender.OnGranted(receiver.Advertise());
  sender.Take();
  sender.Take();
  EXPECT_FALSE(sender.HasCredit());
}

TEST(Credit, HeartbeatsDoNotWidenTheWindow) {
  ReceiveCredit receiver(4);
  receiver.Advertise();
  uint64_t sequence = 1;
  for (; sequence <= 4; ++sequence) receiver.OnFrame(sequence, true);
  for (; sequence < 100; ++sequence) {
    EXPECT_EQ(receiver.OnFrame(sequence, false), ReceiveCredit::Verdict::kAccept);
    EXPECT_EQ(receiver.Advertise(), sequence);  // not one number beyond the heartbeat's own
  }
}

TEST(Credit, LostFramesGiveTheirCreditBack) {
  ReceiveCredit receiver(4);
  SendCredit sender(4);
  sender.OnGranted(receiver.Advertise());
  for (int i = 0; i < 4; ++i) sender.Take();  // all lost
  receiver.OnFrame(sender.Take(), false);     // a heartbeat
  sender.OnGranted(receiver.Advertise());
  for (int i = 0; i < 4; ++i, sender.Take()) EXPECT_TRUE(sender.HasCredit());
  EXPECT_FALSE(sender.HasCredit());
}

TEST(Credit, RepeatedAndUngrantedFramesAreSeen) {
  ReceiveCredit receiver(4);
  receiver.Advertise();
  EXPECT_EQ(receiver.OnFrame(2, true), ReceiveCredit::Verdict::kAccept);
  EXPECT_EQ(receiver.OnFrame(2, true), ReceiveCredit::Verdict::kRepeated);
  EXPECT_EQ(receiver.OnFrame(1, true), ReceiveCredit::Verdict::kRepeated);
  EXPECT_EQ(receiver.OnFrame(5, true), ReceiveCredit::Verdict::kOverrun);
  EXPECT_EQ(receiver.OnFrame(UINT64_MAX, true), ReceiveCredit::Verdict::kOverrun);
}

TEST(Credit, AGenerousPeerGetsNoMoreThanTheWindow) {
  SendCredit sender(4);
  sender.OnGranted(UINT64_MAX);
  for (int i = 0; i < 4; ++i, sender.Take()) EXPECT_TRUE(sender.HasCredit());
  EXPECT_FALSE(sender.HasCredit());
}

TEST(PeerWatch, CountsSilenceOnlyWhileItsOwnTicksAreOnTime) {
  PeerWatch watch({20 * kMs, 50 * kMs, 500 * kMs}, 0);
  int64_t now = 0;
  for (int i = 0; i < 24; ++i) watch.Tick(now += 20 * kMs);
  EXPECT_FALSE(watch.IsPeerSilent());
  watch.Tick(now += 20 * kMs);
  EXPECT_TRUE(watch.IsPeerSilent());
  watch.OnReceived();
  EXPECT_FALSE(watch.IsPeerSilent());
  for (int i = 0; i < 24; ++i) watch.Tick(now += 10'000 * kMs);  // this process was stopped, again and again
  EXPECT_FALSE(watch.IsPeerSilent());
  watch.Tick(now += 10'000 * kMs);  // but even then not blind for ever
  EXPECT_TRUE(watch.IsPeerSilent());
  watch.OnReceived();
  watch.Tick(now -= 5 * kMs);  // a clock that goes back counts nothing
  EXPECT_FALSE(watch.IsPeerSilent());
}

TEST(PeerWatch, HeartbeatsOnlyWhenNothingElseWasSent) {
  PeerWatch watch({20 * kMs, 50 * kMs, 500 * kMs}, 0);
  EXPECT_FALSE(watch.IsHeartbeatDue(49 * kMs));
  EXPECT_TRUE(watch.IsHeartbeatDue(50 * kMs));
  watch.OnSent(50 * kMs);
  EXPECT_FALSE(watch.IsHeartbeatDue(99 * kMs));
}

}  // namespace
}  // namespace atoll::net
