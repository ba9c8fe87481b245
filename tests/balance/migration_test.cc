#include "router/balance/migration.h"

#include <gmock/gmock.h>

#include "tests/balance/shape.h"

namespace atoll::router {
namespace {

using model::ExpertId;
using testing::ElementsAre;
using testing::IsEmpty;

const ExpertId kA{1, 0}, kB{1, 1}, kC{1, 2};
constexpr bool kLoad = true, kFree = false;

class MigrationTest : public testing::Test {
 protected:
  MigrationTest() {
    holdings_.Join("a", 2, {kA, kB});
    holdings_.Join("b", 2, {kC});
    Load();
  }
  // All nodes load what they are told.
  void Load() {
    for (const char* id : {"a", "b"}) {
      if (holdings_.Find(id)->changed) holdings_.Tell(id, ++epoch_);
      holdings_.OnReady(id, holdings_.Find(id)->assigned_epoch);
    }
  }
  bool Advance(uint64_t published, uint64_t followed) { return migration_.Advance(holdings_, published, followed); }

  Holdings holdings_{Shape(2, 3)};
  Migration migration_;
  uint64_t epoch_ = 0;
};

TEST_F(MigrationTest, LoadsThenMovesThenFrees) {
  ASSERT_TRUE(migration_.Start({{kLoad, kB, 1}, {kFree, kB, 0}, {kLoad, kC, 0}, {kFree, kC, 1}}, {"a", "b"}, Migration::kLoadsPerNode, holdings_));
  EXPECT_THAT(holdings_.Find("b")->assigned, ElementsAre(kB, kC));
  EXPECT_THAT(holdings_.Find("a")->assigned, ElementsAre(kA, kB)) << "still serves it";
  EXPECT_EQ(migration_.stage(), Migration::Stage::kLoad);
  ASSERT_TRUE(Advance(10, 10));
  EXPECT_EQ(migration_.stage(), Migration::Stage::kLoad) << "b has not loaded it";
  Load();
  ASSERT_TRUE(Advance(10, 10));
  EXPECT_EQ(migration_.stage(), Migration::Stage::kMove);
  EXPECT_THAT(migration_.freeing(), ElementsAre(NodeReplica{"a", kB}));
  ASSERT_TRUE(Advance(11, 10));
  EXPECT_THAT(holdings_.Find("a")->assigned, ElementsAre(kA, kB)) << "somebody may still send there";
  ASSERT_TRUE(Advance(12, 11));
  EXPECT_THAT(holdings_.Find("a")->assigned, ElementsAre(kA, kC)) << "freed, and the next round's load is in its place";
  EXPECT_EQ(migration_.stage(), Migration::Stage::kLoad);
  Load();
  ASSERT_TRUE(Advance(12, 12));
  ASSERT_TRUE(Advance(13, 13));
  EXPECT_FALSE(migration_.active());
  EXPECT_THAT(holdings_.Find("b")->assigned, ElementsAre(kB));
  EXPECT_EQ(migration_.rounds(), 2u);
  EXPECT_EQ(migration_.replicas_loaded(), 2u);
}

TEST_F(MigrationTest, FreesOfOtherExpertsMoveAhead) {
  holdings_.Join("c", 3, {kA, kB, kC});
  Load();
  holdings_.Tell("c", ++epoch_);
  holdings_.OnReady("c", epoch_);
  // C leaves b only after it came to a, and A leaves a at once.
  ASSERT_TRUE(migration_.Start({{kFree, kB, 0}, {kLoad, kC, 0}, {kFree, kA, 0}, {kFree, kC, 1}}, {"a", "b", "c"}, Migration::kLoadsPerNode, holdings_));
  ASSERT_TRUE(Advance(10, 10));
  EXPECT_THAT(migration_.freeing(), ElementsAre(NodeReplica{"a", kA}, NodeReplica{"a", kB}));
  ASSERT_TRUE(Advance(11, 11));
  EXPECT_THAT(holdings_.Find("a")->assigned, ElementsAre(kC));
  EXPECT_THAT(holdings_.Find("b")->assigned, ElementsAre(kC));
}

TEST_F(MigrationTest, RoomThatIsStillServedIsNotUsed) {
  ASSERT_TRUE(migration_.Start({{kFree, kB, 0}, {kLoad, kC, 0}}, {"a", "b"}, Migration::kLoadsPerNode, holdings_));
  EXPECT_THAT(holdings_.Find("a")->assigned, ElementsAre(kA, kB));
  EXPECT_EQ(migration_.steps_left(), 1);
}

TEST_F(MigrationTest, GivingUpServesWhatWasToBeFreed) {
  ASSERT_TRUE(migration_.Start({{kLoad, kB, 1}, {kFree, kB, 0}}, {"a", "b"}, Migration::kLoadsPerNode, holdings_));
  Load();
  ASSERT_TRUE(Advance(10, 10));
  ASSERT_FALSE(migration_.freeing().empty());
  migration_.GiveUp();
  EXPECT_THAT(migration_.freeing(), IsEmpty());
  EXPECT_FALSE(migration_.active());
  EXPECT_THAT(holdings_.Find("a")->loaded, ElementsAre(kA, kB));
}

TEST_F(MigrationTest, AStepThatDoesNotFitAnyMoreEndsIt) {
  EXPECT_FALSE(migration_.Start({{kLoad, kC, 0}}, {"a", "b"}, Migration::kLoadsPerNode, holdings_)) << "a is full";
  EXPECT_FALSE(migration_.active());
  holdings_.Lose("b");
  EXPECT_FALSE(migration_.Start({{kLoad, kA, 1}}, {"a", "b"}, Migration::kLoadsPerNode, holdings_)) << "b is lost";
  EXPECT_TRUE(migration_.Start({}, {"a"}, Migration::kLoadsPerNode, holdings_));
  EXPECT_FALSE(migration_.active());
}

}  // namespace
}  // namespace atoll::router
