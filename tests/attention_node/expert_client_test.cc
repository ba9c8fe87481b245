// The expert client over in-memory links, against expert nodes whose answers are scripted.

#include "attention_node/expert_client.h"

#include <cstring>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/memory/memory_network.h"

namespace atoll::attention_node {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;

constexpr int32_t kHidden = 8, kExperts = 6, kSlots = 2;
constexpr auto kNow = std::chrono::nanoseconds(0);

net::SessionTerms Terms(uint32_t window, uint32_t part_bytes) {
  net::SessionTerms terms;
  terms.limits.hidden_size = kHidden;
  terms.limits.row_dtype = terms.limits.result_dtype = DType::kF32;
  terms.limits.layers = 2;
  terms.limits.experts = kExperts;
  terms.limits.part_bytes = part_bytes;
  terms.window = window;
  return terms;
}

// Answers a pair (row of value v, expert e) with a row of 10 e + v.
class FakeExpert final : public net::LinkHandler {
 public:
  enum class Mood { kAnswer, kSilent, kRefuse, kOverloaded, kFail };

  FakeExpert(net::MemoryNetwork& network, const std::string& name, uint64_t incarnation, const net::SessionTerms& terms) : terms_(terms) {
    net::LinkHostOptions options;
    options.name = name;
    options.incarnation = incarnation;
    host = *network.OpenHost(options, *this);
  }

  void OnFrame(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload) override {
    if (header.type == net::FrameType::kCancel) ++cancels;
    if (header.type != net::FrameType::kDispatch) return;
    ++parts;
    attempt = header.attempt;
    if (mood == Mood::kSilent) return;
    net::FrameHeader answer = header;
    answer.row_count = 0;
    answer.deadline_us = 0;
    const auto body = net::DispatchBody::Parse(header, payload, terms_.limits);
    ASSERT_TRUE(body.ok()) << body.status();
    std::vector<float> rows;
    for (uint32_t i = 0; i < body->pair_count() && mood == Mood::kAnswer; ++i) {
      float value;
      std::memcpy(&value, body->Row(body->PairAt(i).row).data(), sizeof(value));
      rows.insert(rows.end(), kHidden, 10.0f * body->PairAt(i).expert + value);
    }
    const bool refuses = mood == Mood::kRefuse || mood == Mood::kOverloaded;
    answer.type = refuses ? net::FrameType::kRefuse : net::FrameType::kResult;
    if (refuses) answer.code = static_cast<uint16_t>(mood == Mood::kRefuse ? net::RefuseReason::kNotOwned : net::RefuseReason::kOverloaded);
    if (mood == Mood::kFail) answer.code = static_cast<uint16_t>(absl::StatusCode::kInternal);
    if (refuses) answer.pair_count = 0, answer.dtype = {};
    const std::span<const std::byte> piece = std::as_bytes(std::span(rows));
    const absl::Status sent = link.Send(answer, {&piece, 1});
    EXPECT_TRUE(sent.ok()) << sent;
  }
  void OnOpen(net::Link&) override {}
  void OnClosed(net::Link&, const absl::Status&) override {}

  net::SessionTicket Allow(const std::string& peer) { return *host->AllowSession(peer, terms_); }

  std::unique_ptr<net::LinkHost> host;
  Mood mood = Mood::kAnswer;
  int parts = 0, cancels = 0;
  uint32_t attempt = 0;  // of the last part

 private:
  const net::SessionTerms terms_;
};

class ExpertClientTest : public testing::Test {
 protected:
  explicit ExpertClientTest(uint32_t window = 32, uint32_t part_bytes = 4096)
      : network_(clock_), client_({.dispatch_timeout_ms = 2000}, clock_), terms_(Terms(window, part_bytes)) {
    net::LinkHostOptions options;
    options.name = "attention";
    host_ = *network_.OpenHost(options, client_);
    client_.SetHost(host_.get());
    AddExpert("a", 1);
    AddExpert("b", 1);
  }

  void AddExpert(const std::string& name, uint64_t incarnation) {
    experts_[name] = nullptr;  // its name is free again
    experts_[name] = std::make_unique<FakeExpert>(network_, name, incarnation, terms_);
    incarnations_[name] = incarnation;
  }

  // Experts of layer 1: even ones on "a", odd ones on "b".
  node::ClusterView View(uint64_t epoch, std::set<std::string> dead = {}) const {
    node::ClusterView view;
    view.placement.epoch = epoch;
    view.placement.layers = 2;
    view.placement.experts = kExperts;
    view.placement.node_ids = {"a", "b"};
    view.placement.layer_has_experts = {false, true};
    view.placement.replicas.resize(2 * kExperts);
    for (int32_t expert = 0; expert < kExperts; ++expert) view.placement.ReplicasOf({1, expert}) = {{expert % 2, 1}};
    for (const char* name : {"a", "b"}) view.expert_nodes.push_back({name, incarnations_.at(name), "", 1, !dead.contains(name)});
    return view;
  }

  void Turn(int times = 3) {
    for (int i = 0; i < times; ++i) {
      for (const auto& [name, expert] : experts_) expert->host->Poll(kNow);
      client_.Wait(kNow);
    }
  }

  void ConnectMissing() {
    for (const node::ExpertPeer& peer : client_.MissingPeers()) {
      ASSERT_TRUE(client_.Connect(peer, experts_.at(peer.node_id)->Allow("attention")).ok());
    }
    Turn();
  }

  void Ready(uint64_t epoch) {
    client_.SetView(View(epoch));
    ConnectMissing();
    ASSERT_EQ(client_.Report().epoch_ready, epoch);
  }

  // Row r has the value r.
  void Post(std::vector<int32_t> experts, uint64_t step = 1) {
    experts_chosen_ = std::move(experts);
    const int32_t rows = static_cast<int32_t>(experts_chosen_.size()) / kSlots;
    rows_.resize(rows * kHidden);
    for (size_t i = 0; i < rows_.size(); ++i) rows_[i] = static_cast<float>(i / kHidden);
    results_.assign(rows * kSlots * kHidden, -1.0f);
    client_.Post({.step = step,
                  .layer = 1,
                  .micro_batch = 0,
                  .rows = {rows_.data(), DType::kF32, rows, kHidden, kHidden},
                  .experts = experts_chosen_,
                  .experts_per_row = kSlots,
                  .results = {results_.data(), DType::kF32, rows * kSlots, kHidden, kHidden},
                  .span = {}});
  }

  // Result of (row, slot) as it should be.
  void ExpectResults(std::set<int32_t> but_not = {}) const {
    for (size_t i = 0; i < experts_chosen_.size(); ++i) {
      const int32_t row = static_cast<int32_t>(i) / kSlots;
      if (but_not.contains(row)) continue;
      EXPECT_EQ(results_[i * kHidden], 10.0f * experts_chosen_[i] + static_cast<float>(row)) << "pair " << i;
    }
  }

  std::map<int32_t, absl::Status> Take() {
    std::map<int32_t, absl::Status> failed;
    for (const FailedRow& row : client_.Take(0)) failed.emplace(row.row, row.status);
    return failed;
  }

  ManualClock clock_;
  net::MemoryNetwork network_;
  ExpertClient client_;
  const net::SessionTerms terms_;
  std::unique_ptr<net::LinkHost> host_;
  std::map<std::string, std::unique_ptr<FakeExpert>> experts_;
  std::map<std::string, uint64_t> incarnations_;
  std::vector<int32_t> experts_chosen_;
  std::vector<float> rows_, results_;
};

TEST_F(ExpertClientTest, WithoutAViewEveryRowFails) {
  Post({0, 1, 2, 3});
  EXPECT_TRUE(client_.Done(0));
  EXPECT_EQ(Take().size(), 2u);
}

TEST_F(ExpertClientTest, AViewIsReadyOnceAllItsLinksAreOpen) {
  client_.SetView(View(4));
  EXPECT_EQ(client_.MissingPeers().size(), 2u);
  Turn();
  EXPECT_EQ(client_.Report().epoch_ready, 0u);
  ConnectMissing();
  EXPECT_EQ(client_.Report().epoch_ready, 4u);
  EXPECT_THAT(client_.MissingPeers(), IsEmpty());
  client_.SetView(View(3));  // older: ignored
  EXPECT_EQ(client_.Report().epoch_ready, 4u);
}

// One node that nobody can reach: its rows fail, the other one's are served after a while.
TEST_F(ExpertClientTest, AnUnreachableNodeDoesNotKeepTheViewForEver) {
  client_.SetView(View(4));
  ASSERT_TRUE(client_.Connect(client_.MissingPeers()[0], experts_["a"]->Allow("attention")).ok());
  Turn();
  Post({0, 2, 0, 1});
  EXPECT_EQ(Take().size(), 2u);
  for (int i = 0; i < 50; ++i) clock_.AdvanceNs(20'000'000), Turn(1);
  Post({0, 2, 0, 1}, 2);
  Turn();
  ASSERT_TRUE(client_.Done(0));
  EXPECT_THAT(Take(), testing::ElementsAre(Key(1)));
  ExpectResults({1});
  EXPECT_EQ(client_.Report().epoch_ready, 0u);
  ConnectMissing();
  EXPECT_EQ(client_.Report().epoch_ready, 4u);
}

TEST_F(ExpertClientTest, ResultsOfTwoNodesMeetInTheirSlots) {
  Ready(4);
  Post({0, 1, 3, 2, 5, 1, 4, 0});
  EXPECT_FALSE(client_.Done(0));
  EXPECT_EQ(client_.Report().epoch_oldest_in_flight, 4u);
  Turn();
  ASSERT_TRUE(client_.Done(0));
  EXPECT_THAT(Take(), IsEmpty());
  ExpectResults();
}

TEST_F(ExpertClientTest, ADeadNodeFailsItsRowsAtOnceAndNoOther) {
  Ready(4);
  experts_["b"]->mood = FakeExpert::Mood::kSilent;
  Post({0, 2, 0, 1, 4, 2});
  Turn();
  EXPECT_FALSE(client_.Done(0));
  network_.Disconnect("b");
  Turn();
  ASSERT_TRUE(client_.Done(0));
  const auto failed = Take();
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(failed.at(1)));
  EXPECT_THAT(failed.at(1).ToString(), HasSubstr("expert node b"));
  ExpectResults({1});
  EXPECT_THAT(client_.Report().lost_peers, Contains(Key("b")));
  // The next dispatch knows: nothing is waited for.
  Post({0, 2, 0, 1}, 2);
  Turn();
  ASSERT_TRUE(client_.Done(0));
  EXPECT_THAT(Take(), testing::ElementsAre(Key(1)));
  ExpectResults({1});
}

TEST_F(ExpertClientTest, ANodeThatTheRouterCallsDeadIsLeftAtOnce) {
  Ready(4);
  experts_["b"]->mood = FakeExpert::Mood::kSilent;
  Post({0, 1});
  client_.SetView(View(5, {"b"}));
  Turn();
  ASSERT_TRUE(client_.Done(0));
  EXPECT_THAT(Take(), testing::ElementsAre(Key(0)));
  EXPECT_EQ(client_.Report().epoch_ready, 5u);
  EXPECT_THAT(client_.Report().lost_peers, IsEmpty());
}

TEST_F(ExpertClientTest, ARestartedNodeServesAgain) {
  Ready(4);
  network_.Disconnect("b");
  AddExpert("b", 2);
  Turn();
  client_.SetView(View(5));
  ConnectMissing();
  EXPECT_EQ(client_.Report().epoch_ready, 5u);
  Post({0, 1, 3, 2});
  Turn();
  ASSERT_TRUE(client_.Done(0));
  EXPECT_THAT(Take(), IsEmpty());
  ExpectResults();
}

TEST_F(ExpertClientTest, ATicketOfAnotherLifeIsRefused) {
  client_.SetView(View(4));
  AddExpert("b", 9);
  const node::ExpertPeer stale{"b", 1, "", 1, true};
  EXPECT_TRUE(absl::IsFailedPrecondition(client_.Connect(stale, experts_["b"]->Allow("attention"))));
}

TEST_F(ExpertClientTest, ASilentNodeIsGivenUpAtTheDeadline) {
  Ready(4);
  experts_["b"]->mood = FakeExpert::Mood::kSilent;
  Post({0, 2, 1, 0});
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(client_.Done(0)) << i;
    clock_.AdvanceNs(20'000'000);  // links tick, so that only the dispatch is late
    Turn(1);
  }
  Turn();
  ASSERT_TRUE(client_.Done(0));
  const auto failed = Take();
  EXPECT_THAT(failed, testing::ElementsAre(Key(1)));
  EXPECT_THAT(failed.at(1).ToString(), HasSubstr("did not answer within 2000 ms"));
}

TEST_F(ExpertClientTest, RefusalsAndFailuresAreTheRowsOwn) {
  Ready(4);
  experts_["b"]->mood = FakeExpert::Mood::kRefuse;
  Post({0, 2, 1, 0});
  Turn();
  EXPECT_FALSE(client_.Done(0)) << "a newer view may bring a replica";
  clock_.AdvanceNs(3'000'000'000);
  Turn();
  ASSERT_TRUE(client_.Done(0));
  auto failed = Take();
  EXPECT_THAT(failed.at(1).ToString(), HasSubstr("does not hold the expert"));
  EXPECT_EQ(client_.Report().parts_sent_again, 0u);
  ExpectResults({1});
  experts_["b"]->mood = FakeExpert::Mood::kFail;
  Post({0, 2, 1, 0}, 2);
  Turn();
  ASSERT_TRUE(client_.Done(0));
  failed = Take();
  EXPECT_TRUE(absl::IsInternal(failed.at(1)));
}

// Experts of layer 1 on both nodes.
class TwoCopies : public ExpertClientTest {
 protected:
  void ReadyTwice(uint64_t epoch) {
    client_.SetView(Twice(epoch));
    ConnectMissing();
    ASSERT_EQ(client_.Report().epoch_ready, epoch);
  }

  node::ClusterView Twice(uint64_t epoch) const {
    node::ClusterView view = View(epoch);
    for (int32_t expert = 0; expert < kExperts; ++expert) view.placement.ReplicasOf({1, expert}) = {{0, 0.5}, {1, 0.5}};
    return view;
  }

  void ExpectAllServed() {
    ASSERT_TRUE(client_.Done(0));
    EXPECT_THAT(Take(), IsEmpty());
    ExpectResults();
  }
};

TEST_F(TwoCopies, BothNodesGetRows) {
  ReadyTwice(4);
  Post({0, 1, 3, 2, 5, 1, 4, 0});
  Turn();
  ExpectAllServed();
  EXPECT_EQ(experts_["a"]->parts, 1);
  EXPECT_EQ(experts_["b"]->parts, 1);
}

TEST_F(TwoCopies, RowsOfADeadNodeAreServedByTheOther) {
  ReadyTwice(4);
  experts_["b"]->mood = FakeExpert::Mood::kSilent;
  Post({0, 1, 3, 2, 5, 1, 4, 0});
  Turn();
  EXPECT_FALSE(client_.Done(0));
  network_.Disconnect("b");
  Turn();
  ExpectAllServed();
  EXPECT_EQ(client_.Report().parts_sent_again, 1u);
  EXPECT_EQ(experts_["a"]->attempt, 1u);
  Post({0, 1, 3, 2, 5, 1, 4, 0}, 2);  // before any newer view
  Turn();
  ExpectAllServed();
}

TEST_F(TwoCopies, RefusedRowsAreServedByTheOther) {
  ReadyTwice(4);
  experts_["b"]->mood = FakeExpert::Mood::kRefuse;
  Post({0, 1, 3, 2, 5, 1, 4, 0});
  Turn();
  ExpectAllServed();
  EXPECT_EQ(client_.Report().parts_sent_again, 1u);
}

TEST_F(TwoCopies, WhereBothRefuseTheRowsFailInTime) {
  ReadyTwice(4);
  for (const auto& [name, expert] : experts_) expert->mood = FakeExpert::Mood::kRefuse;
  Post({0, 1, 3, 2});
  for (int i = 0; i < 200 && !client_.Done(0); ++i) clock_.AdvanceNs(100'000'000), Turn(1);
  ASSERT_TRUE(client_.Done(0));
  EXPECT_EQ(Take().size(), 2u);
  EXPECT_LE(experts_["a"]->parts + experts_["b"]->parts, 2 * 6) << "tries are bounded";
}

TEST_F(TwoCopies, AnOverloadedNodeIsAskedAgainLater) {
  Ready(4);  // one copy each
  experts_["b"]->mood = FakeExpert::Mood::kOverloaded;
  Post({0, 1, 3, 2});
  Turn();
  EXPECT_EQ(experts_["b"]->parts, 1) << "not before a while";
  experts_["b"]->mood = FakeExpert::Mood::kAnswer;
  clock_.AdvanceNs(5'000'000);
  Turn();
  ExpectAllServed();
  EXPECT_EQ(experts_["b"]->parts, 2);
}

// What an old epoch's dispatch meets after the expert has moved: refused there, served under the new view.
TEST_F(TwoCopies, RefusedRowsFollowANewerView) {
  Ready(4);
  experts_["b"]->mood = FakeExpert::Mood::kRefuse;
  Post({0, 1, 3, 2});
  Turn();
  EXPECT_FALSE(client_.Done(0));
  EXPECT_EQ(client_.Report().epoch_oldest_in_flight, 4u);
  node::ClusterView moved = View(5);
  for (int32_t expert = 0; expert < kExperts; ++expert) moved.placement.ReplicasOf({1, expert}) = {{0, 1}};
  client_.SetView(moved);
  Turn();
  ExpectAllServed();
  EXPECT_EQ(client_.Report().epoch_oldest_in_flight, 5u);
}

// An idle node follows and acknowledges; one with rows in flight follows at once and acknowledges when they are back.
TEST_F(TwoCopies, AViewWithoutNewLinksIsFollowedAtOnce) {
  Ready(4);
  client_.SetView(Twice(5));
  client_.Wait(kNow);
  EXPECT_EQ(client_.Report().epoch_ready, 5u);
  experts_["a"]->mood = FakeExpert::Mood::kSilent;
  Post({0, 1});
  client_.SetView(View(6));
  client_.Wait(kNow);
  EXPECT_EQ(client_.Report().epoch_ready, 6u);
  EXPECT_EQ(client_.Report().epoch_oldest_in_flight, 5u);
}

TEST_F(TwoCopies, AGivenUpDispatchIsCancelled) {
  Ready(4);
  experts_["b"]->mood = FakeExpert::Mood::kSilent;
  Post({0, 2, 1, 0});
  for (int i = 0; i <= 100; ++i) clock_.AdvanceNs(20'000'000), Turn(1);
  Turn();
  ASSERT_TRUE(client_.Done(0));
  EXPECT_EQ(Take().size(), 1u);
  EXPECT_EQ(experts_["b"]->cancels, 1);
  EXPECT_EQ(experts_["a"]->cancels, 0);
}

class NarrowLinks : public ExpertClientTest {
 protected:
  NarrowLinks() : ExpertClientTest(2, 128) {}  // two frames in flight, each of two or three rows
};

TEST_F(NarrowLinks, PartsWaitForCredit) {
  Ready(4);
  std::vector<int32_t> experts;
  for (int32_t row = 0; row < 60; ++row) experts.push_back(row % 6), experts.push_back((row + 1 + row / 6 % 5) % 6);
  Post(experts);
  EXPECT_FALSE(client_.Done(0));
  for (int i = 0; i < 300 && !client_.Done(0); ++i) Turn(1);
  ASSERT_TRUE(client_.Done(0));
  EXPECT_THAT(Take(), IsEmpty());
  ExpectResults();
  EXPECT_GT(experts_["a"]->parts, 10);
}

}  // namespace
}  // namespace atoll::attention_node
