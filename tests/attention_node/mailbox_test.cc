#include "attention_node/intake/mailbox.h"

#include <gtest/gtest.h>

namespace atoll::attention_node {
namespace {

SequenceRequest Request(uint64_t stream, uint64_t id) {
  SequenceRequest request;
  request.key = {stream, id};
  return request;
}

TEST(Mailbox, RefusesOverItsBound) {
  Mailbox mailbox(2);
  EXPECT_TRUE(mailbox.Submit(Request(1, 1)).ok());
  EXPECT_TRUE(mailbox.Submit(Request(1, 2)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(mailbox.Submit(Request(1, 3))));
  EXPECT_EQ(mailbox.Take().submitted.size(), 2u);
  EXPECT_TRUE(absl::IsResourceExhausted(mailbox.Submit(Request(1, 3))));  // the two wait still
  mailbox.Settle({}, 1);
  EXPECT_TRUE(mailbox.Submit(Request(1, 3)).ok());
  EXPECT_EQ(mailbox.waiting(), 2);
}

TEST(Mailbox, AKeyLivesOnce) {
  Mailbox mailbox(8);
  EXPECT_TRUE(mailbox.Submit(Request(1, 1)).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(mailbox.Submit(Request(1, 1))));
  EXPECT_TRUE(mailbox.Submit(Request(2, 1)).ok());
  mailbox.Take();
  const SequenceKey ended[] = {{1, 1}};
  mailbox.Settle(ended, 0);
  EXPECT_TRUE(mailbox.Submit(Request(1, 1)).ok());
}

TEST(Mailbox, CancelsAreKeptForLivingSequencesOnly) {
  Mailbox mailbox(8);
  mailbox.Cancel({1, 1});
  EXPECT_TRUE(mailbox.Take().empty());
  ASSERT_TRUE(mailbox.Submit(Request(1, 1)).ok());
  mailbox.Cancel({1, 1});
  mailbox.Cancel({1, 1});
  EXPECT_EQ(mailbox.Take().cancelled.size(), 1u);
}

TEST(Mailbox, AStreamsEndAbandonsItsSequences) {
  Mailbox mailbox(8);
  for (uint64_t stream : {1, 2, 3}) ASSERT_TRUE(mailbox.Submit(Request(stream, 4)).ok());
  mailbox.CancelStream(2);
  const Mailbox::Mail mail = mailbox.Take();
  EXPECT_EQ(mail.abandoned, (std::set<SequenceKey>{{2, 4}}));
}

}  // namespace
}  // namespace atoll::attention_node
