#include "attention_node/routing/route_rows.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attention_node/routing/open_dispatch.h"

namespace atoll::attention_node {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Two layers of four experts over three nodes: expert e on node e % 3, and expert 3 on node 1 too.
node::ClusterView SmallView() {
  node::ClusterView view;
  model::Placement& placement = view.placement;
  placement.epoch = 7;
  placement.layers = 2;
  placement.experts = 4;
  placement.node_ids = {"a", "b", "c"};
  placement.layer_has_experts = {false, true};
  placement.replicas.resize(8);
  for (int32_t expert = 0; expert < 4; ++expert) placement.ReplicasOf({1, expert}) = {{expert % 3, 1}};
  placement.ReplicasOf({1, 3}).push_back({1, 0.5});
  for (const std::string& id : placement.node_ids) view.expert_nodes.push_back({id, 1, "", 1, true});
  return view;
}

Routes Route(std::vector<int32_t> experts, std::vector<bool> usable) {
  Routes routes;
  RoutingTable table(SmallView(), {});
  ReplicaSelector selector;
  selector.Begin(table, 1, experts, usable);
  RouteRows(experts, 2, selector, routes);
  return routes;
}

TEST(RouteRows, GroupsRowsByNodeInRowOrder) {
  const Routes routes = Route({0, 1, 3, 0, 2, 1}, {true, true, true});
  // Expert 3 goes whole to one of its two nodes, each of which has one expert besides.
  EXPECT_THAT(routes.by_node[0], ElementsAre(RoutedPair{0, 0, 0}, RoutedPair{1, 1, 0}));
  EXPECT_THAT(routes.by_node[1], ElementsAre(RoutedPair{0, 1, 1}, RoutedPair{1, 0, 3}, RoutedPair{2, 1, 1}));
  EXPECT_THAT(routes.by_node[2], ElementsAre(RoutedPair{2, 0, 2}));
  EXPECT_THAT(routes.unrouted, IsEmpty());
}

TEST(RouteRows, AnotherReplicaServesWhereTheFirstIsNotUsable) {
  const Routes routes = Route({3, 1}, {false, true, true});
  EXPECT_THAT(routes.by_node[1], ElementsAre(RoutedPair{0, 0, 3}, RoutedPair{0, 1, 1}));
  EXPECT_THAT(routes.unrouted, IsEmpty());
}

TEST(RouteRows, ARowWithoutAReplicaSendsNothingAndOthersGoOn) {
  const Routes routes = Route({1, 2, 1, 0}, {true, true, false});
  ASSERT_EQ(routes.unrouted.size(), 1u);
  EXPECT_EQ(routes.unrouted[0].row, 0);
  EXPECT_EQ(routes.unrouted[0].expert, 2);
  EXPECT_THAT(routes.by_node[1], ElementsAre(RoutedPair{1, 0, 1}));
  EXPECT_THAT(routes.by_node[0], ElementsAre(RoutedPair{1, 1, 0}));
}

// Rows of four float32; row r is filled with r.
class OpenDispatchTest : public testing::Test {
 protected:
  static constexpr int32_t kRows = 3, kSlots = 2, kHidden = 4;

  OpenDispatchTest() : rows_(kRows * kHidden), results_(kRows * kSlots * kHidden, -1.0f) {
    for (size_t i = 0; i < rows_.size(); ++i) rows_[i] = static_cast<float>(i / kHidden);
    dispatch_ = {.step = 5,
                 .layer = 1,
                 .micro_batch = 0,
                 .rows = {rows_.data(), DType::kF32, kRows, kHidden, kHidden},
                 .experts = experts_,
                 .experts_per_row = kSlots,
                 .results = {results_.data(), DType::kF32, kRows * kSlots, kHidden, kHidden},
                 .span = {}};
    limits_.hidden_size = kHidden;
    limits_.row_dtype = limits_.result_dtype = DType::kF32;
    limits_.layers = 2;
    limits_.experts = 4;
    open_.Begin(dispatch_, 0);
  }

  // What a node answers: each pair's row is 10 * expert + the row's value.
  void Answer(net::Link* link, const OpenPart& part, bool expect_taken = true) {
    const net::FrameHeader sent = open_.HeaderOf(part);
    std::vector<std::byte> payload;
    for (const auto& piece : open_.PayloadOf(part)) payload.insert(payload.end(), piece.begin(), piece.end());
    const auto body = net::DispatchBody::Parse(sent, payload, limits_);
    ASSERT_TRUE(body.ok()) << body.status();
    std::vector<float> answer;
    for (uint32_t i = 0; i < body->pair_count(); ++i) {
      float value;
      std::memcpy(&value, body->Row(body->PairAt(i).row).data(), sizeof(value));
      answer.insert(answer.end(), kHidden, 10.0f * body->PairAt(i).expert + value);
    }
    net::FrameHeader header = sent;
    header.type = net::FrameType::kResult;
    header.row_count = 0;
    const auto result = net::ResultBody::Parse(header, std::as_bytes(std::span(answer)), limits_);
    ASSERT_TRUE(result.ok()) << result.status();
    OpenPart* const asked = open_.Find(link, header);
    ASSERT_EQ(asked != nullptr, expect_taken);
    if (asked != nullptr) open_.Accept(*asked, *result);
  }

  float Result(int32_t row, int32_t slot) const { return results_[(row * kSlots + slot) * kHidden]; }

  net::Link* const link_a_ = reinterpret_cast<net::Link*>(0x100);
  net::Link* const link_b_ = reinterpret_cast<net::Link*>(0x200);
  std::vector<float> rows_, results_;
  std::vector<int32_t> experts_ = {0, 1, 3, 0, 2, 1};
  ExpertDispatch dispatch_;
  net::FrameLimits limits_;
  OpenDispatch open_;
};

TEST_F(OpenDispatchTest, ResultsGoToTheirRowAndSlot) {
  ASSERT_TRUE(open_.AddParts({.link = link_a_, .epoch = 7}, limits_, std::vector<RoutedPair>{{0, 0, 0}, {1, 0, 3}, {1, 1, 0}}).ok());
  ASSERT_TRUE(open_.AddParts({.link = link_b_, .epoch = 7}, limits_, std::vector<RoutedPair>{{0, 1, 1}, {2, 0, 2}, {2, 1, 1}}).ok());
  for (OpenPart& part : open_.parts()) part.state = PartState::kSent;
  EXPECT_FALSE(open_.Done());
  Answer(link_b_, open_.parts()[1]);
  Answer(link_a_, open_.parts()[0]);
  EXPECT_TRUE(open_.Done());
  EXPECT_EQ(Result(0, 0), 0); EXPECT_EQ(Result(0, 1), 10);
  EXPECT_EQ(Result(1, 0), 31); EXPECT_EQ(Result(1, 1), 1);
  EXPECT_EQ(Result(2, 0), 22); EXPECT_EQ(Result(2, 1), 12);
  EXPECT_TRUE(open_.Take().empty());
}

TEST_F(OpenDispatchTest, B59_AnAnswerCountsOnceAndOnlyFromItsLink) {
  ASSERT_TRUE(open_.AddParts({.link = link_a_, .epoch = 7}, limits_, std::vector<RoutedPair>{{0, 0, 0}}).ok());
  ASSERT_TRUE(open_.AddParts({.link = link_b_, .epoch = 7}, limits_, std::vector<RoutedPair>{{1, 0, 1}}).ok());
  Answer(link_a_, open_.parts()[0], false);  // not sent yet
  for (OpenPart& part : open_.parts()) part.state = PartState::kSent;
  Answer(link_a_, open_.parts()[0]);
  Answer(link_a_, open_.parts()[0], false);
  EXPECT_FALSE(open_.Done());
}

TEST_F(OpenDispatchTest, SmallPartsCarryTheSameRows) {
  limits_.part_bytes = 64;  // two rows at most, four results
  ASSERT_TRUE(open_.AddParts({.link = link_a_, .epoch = 7}, limits_, std::vector<RoutedPair>{{0, 0, 0}, {0, 1, 1}, {1, 0, 3}, {1, 1, 0}, {2, 0, 2}, {2, 1, 1}}).ok());
  ASSERT_GT(open_.parts().size(), 1u);
  for (OpenPart& part : open_.parts()) part.state = PartState::kSent;
  for (size_t i = open_.parts().size(); i-- > 0;) Answer(link_a_, open_.parts()[i]);
  EXPECT_TRUE(open_.Done());
  EXPECT_EQ(Result(0, 1), 10); EXPECT_EQ(Result(1, 0), 31); EXPECT_EQ(Result(2, 1), 12);
}

TEST_F(OpenDispatchTest, ALostLinkReturnsItsPartsOnly) {
  const std::vector<RoutedPair> to_a{{0, 0, 0}, {1, 0, 3}, {1, 1, 0}};
  ASSERT_TRUE(open_.AddParts({.link = link_a_, .epoch = 7}, limits_, to_a).ok());
  ASSERT_TRUE(open_.AddParts({.link = link_b_, .epoch = 7}, limits_, std::vector<RoutedPair>{{2, 0, 1}}).ok());
  for (OpenPart& part : open_.parts()) part.state = PartState::kSent;
  open_.ReturnLink(link_a_, {.status = absl::UnavailableError("gone")});
  ASSERT_EQ(open_.parts()[0].state, PartState::kReturned);
  Answer(link_b_, open_.parts()[1]);
  EXPECT_FALSE(open_.Done());
  std::vector<RoutedPair> returned;
  open_.PairsOf(open_.parts()[0], returned);
  EXPECT_EQ(returned, to_a);
  ASSERT_TRUE(open_.AddParts({.link = link_b_, .epoch = 8, .attempt = open_.NextAttempt(), .tries = 2}, limits_, returned).ok());
  open_.End(open_.parts()[0]);
  OpenPart& again = open_.parts()[2];
  again.state = PartState::kSent;
  OpenPart late = again;
  late.sending.attempt = 0;
  Answer(link_b_, late, false);  // an earlier sending's answer is none of this one
  Answer(link_b_, again);
  EXPECT_TRUE(open_.Done());
  EXPECT_EQ(open_.HeaderOf(again).epoch, 8u);
  EXPECT_EQ(Result(1, 0), 31); EXPECT_EQ(Result(1, 1), 1);
  EXPECT_TRUE(open_.Take().empty());
}

TEST_F(OpenDispatchTest, AFailedPartFailsItsRowsOnly) {
  ASSERT_TRUE(open_.AddParts({.link = link_a_}, limits_, std::vector<RoutedPair>{{0, 0, 0}, {1, 0, 3}, {1, 1, 0}}).ok());
  ASSERT_TRUE(open_.AddParts({.link = link_b_}, limits_, std::vector<RoutedPair>{{2, 0, 1}}).ok());
  for (OpenPart& part : open_.parts()) part.state = PartState::kSent;
  open_.FailPart(open_.parts()[0], absl::UnavailableError("gone"));
  EXPECT_FALSE(open_.Done());
  Answer(link_b_, open_.parts()[1]);
  EXPECT_TRUE(open_.Done());
  std::vector<int32_t> failed;
  for (const FailedRow& row : open_.Take()) failed.push_back(row.row);
  EXPECT_THAT(failed, ElementsAre(0, 1));
}

TEST_F(OpenDispatchTest, NothingIsAcceptedAfterItWasTaken) {
  ASSERT_TRUE(open_.AddParts({.link = link_a_, .epoch = 7}, limits_, std::vector<RoutedPair>{{0, 0, 1}}).ok());
  open_.parts()[0].state = PartState::kSent;
  const OpenPart part = open_.parts()[0];
  open_.FailPart(open_.parts()[0], absl::UnavailableError("late"));
  open_.Take();
  Answer(link_a_, part, false);
  EXPECT_EQ(Result(0, 0), -1);
}

}  // namespace
}  // namespace atoll::attention_node
