#include "attention_node/batching/batcher.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "attention_node/batching/page_pool.h"

namespace atoll::attention_node {
namespace {

BatchCandidate Decoding(int32_t known, int64_t last_step = 0) {
  return {.known = known, .computed = known - 1, .pages = PagesFor(known - 1), .running = true, .last_step = last_step};
}
BatchCandidate Waiting(int32_t known) { return {.known = known}; }
BatchCandidate Prefilling(int32_t known, int32_t computed) {
  return {.known = known, .computed = computed, .pages = PagesFor(known), .running = true};
}

BatchDecision Choose(const std::vector<BatchCandidate>& candidates, const BatchLimits& limits) {
  BatchDecision decision;
  ChooseBatch(candidates, limits, decision);
  return decision;
}

std::vector<std::pair<int32_t, int32_t>> Rows(const BatchDecision& decision) {
  std::vector<std::pair<int32_t, int32_t>> rows;
  for (const BatchShare& share : decision.shares) rows.emplace_back(share.sequence, share.row_count);
  return rows;
}

using RowList = std::vector<std::pair<int32_t, int32_t>>;

TEST(Batcher, DecodeRowsAndPromptChunksShareAStep) {
  const BatchDecision decision =
      Choose({Decoding(10), Prefilling(100, 40), Decoding(20), Waiting(30)}, {.rows_max = 70, .sequences_max = 8, .pages_free = 9});
  EXPECT_EQ(Rows(decision), (RowList{{0, 1}, {1, 60}, {2, 1}, {3, 8}}));
  EXPECT_EQ(decision.shares[3].new_pages, 1);
  EXPECT_TRUE(decision.preempted.empty());
}

TEST(Batcher, DecodeRowsTakeTurnsWhenTheBudgetIsSmaller) {
  std::vector<BatchCandidate> candidates(7, Decoding(10));
  for (int64_t step = 1; step <= 50; ++step) {
    const BatchDecision decision = Choose(candidates, {.rows_max = 3, .sequences_max = 7, .pages_free = 0});
    ASSERT_EQ(decision.shares.size(), 3u);
    for (const BatchShare& share : decision.shares) candidates[share.sequence].last_step = step;
    for (const BatchCandidate& candidate : candidates) EXPECT_LE(step - candidate.last_step, 3);  // ceil(7 / 3)
  }
}

TEST(Batcher, AQuarterOfTheBudgetIsKeptForPrompts) {
  std::vector<BatchCandidate> candidates(16, Decoding(10));
  candidates.push_back(Prefilling(100, 0));
  const BatchDecision decision = Choose(candidates, {.rows_max = 16, .sequences_max = 32, .pages_free = 0});
  EXPECT_EQ(decision.shares.size(), 13u);
  EXPECT_EQ(decision.shares.back().row_count, 4);
}

TEST(Batcher, WhatPromptsCannotUseGoesToDecodeRows) {
  std::vector<BatchCandidate> candidates(16, Decoding(10));
  candidates.push_back(Waiting(100));  // no page for it
  const BatchDecision decision = Choose(candidates, {.rows_max = 16, .sequences_max = 32, .pages_free = 1});
  EXPECT_EQ(decision.shares.size(), 16u);
}

TEST(Batcher, AdmitsInOrderAndNeverPastOneThatDoesNotFit) {
  const BatchDecision decision =
      Choose({Waiting(64), Waiting(200), Waiting(10)}, {.rows_max = 500, .sequences_max = 8, .pages_free = 4});
  EXPECT_EQ(Rows(decision), (RowList{{0, 64}}));
}

TEST(Batcher, SeatsAreBounded) {
  const BatchDecision decision =
      Choose({Decoding(5), Waiting(5), Waiting(5)}, {.rows_max = 500, .sequences_max = 2, .pages_free = 50});
  EXPECT_EQ(Rows(decision), (RowList{{0, 1}, {1, 5}}));
}

TEST(Batcher, PreemptsTheYoungestForAPage) {
  const BatchDecision decision =
      Choose({Decoding(65), Decoding(10), Decoding(30)}, {.rows_max = 8, .sequences_max = 8, .pages_free = 0});
  EXPECT_EQ(decision.preempted, std::vector<int32_t>{2});
  EXPECT_EQ(Rows(decision), (RowList{{0, 1}, {1, 1}}));
  EXPECT_EQ(decision.shares[0].new_pages, 1);
}

TEST(Batcher, TheYoungestPreemptsItself) {
  const BatchDecision decision =
      Choose({Decoding(10), Decoding(65)}, {.rows_max = 8, .sequences_max = 8, .pages_free = 0});
  EXPECT_EQ(decision.preempted, std::vector<int32_t>{1});
  EXPECT_EQ(Rows(decision), (RowList{{0, 1}}));
}

TEST(Batcher, NobodyIsAdmittedInAStepThatPreempts) {
  const BatchDecision decision =
      Choose({Decoding(65), Decoding(100), Waiting(3)}, {.rows_max = 8, .sequences_max = 8, .pages_free = 0});
  EXPECT_EQ(decision.preempted, std::vector<int32_t>{1});
  EXPECT_EQ(Rows(decision), (RowList{{0, 1}}));
}

// A whole life of random sequences against the real page pool: limits hold in every step, pages are exact, and all end.
struct Simulated {
  int32_t prompt = 0, total = 0;  // positions that get keys
  BatchCandidate seen;
  std::vector<PageId> pages;
};

class Simulation {
 public:
  Simulation(uint32_t seed, int32_t rows_max, int32_t sequences_max, int32_t pages)
      : random_(seed), pool_(pages), rows_max_(rows_max), sequences_max_(sequences_max) {}

  void Arrive() {
    Simulated sequence;
    sequence.prompt = 1 + static_cast<int32_t>(random_() % 300);
    sequence.total = sequence.prompt + static_cast<int32_t>(random_() % 200);
    if (!FitsEver(sequence.total, pool_.page_count())) return;
    sequence.seen.known = sequence.prompt;
    live_.push_back(std::move(sequence));
  }

  bool empty() const { return live_.empty(); }
  int64_t preemptions() const { return preemptions_; }

  // False where nothing moved although something was there.
  bool Step() {
    ++step_;
    std::vector<BatchCandidate> candidates;
    for (const Simulated& sequence : live_) candidates.push_back(sequence.seen);
    const BatchDecision decision =
        Choose(candidates, {.rows_max = rows_max_, .sequences_max = sequences_max_, .pages_free = pool_.free_count()});
    for (const int32_t i : decision.preempted) Preempt(live_[i]);
    int32_t rows = 0;
    for (const BatchShare& share : decision.shares) rows += share.row_count, Compute(live_[share.sequence], share);
    EXPECT_LE(rows, rows_max_);
    const auto running = std::count_if(live_.begin(), live_.end(), [](const Simulated& s) { return s.seen.running; });
    EXPECT_LE(running, sequences_max_);
    const bool moved = rows > 0;
    std::erase_if(live_, [&](Simulated& sequence) {
      const bool ended = sequence.seen.computed == sequence.total;
      if (ended) pool_.Free(sequence.pages);
      return ended;
    });
    return moved;
  }

  void ExpectAllFree() { EXPECT_EQ(pool_.free_count(), pool_.page_count()); }

 private:
  void Preempt(Simulated& sequence) {
    EXPECT_TRUE(sequence.seen.running);
    ++preemptions_;
    pool_.Free(sequence.pages);
    sequence.seen.running = false;
    sequence.seen.computed = sequence.seen.pages = 0;
  }

  void Compute(Simulated& sequence, const BatchShare& share) {
    EXPECT_TRUE(pool_.Allocate(share.new_pages, sequence.pages));
    sequence.seen.running = true;
    sequence.seen.computed += share.row_count;
    sequence.seen.last_step = step_;
    sequence.seen.pages = static_cast<int32_t>(sequence.pages.size());
    EXPECT_GE(sequence.seen.pages, PagesFor(sequence.seen.computed));
    EXPECT_LE(sequence.seen.computed, sequence.seen.known);
    if (sequence.seen.computed == sequence.seen.known && sequence.seen.known < sequence.total) sequence.seen.known++;
  }

  std::mt19937 random_;
  PagePool pool_;
  int32_t rows_max_, sequences_max_;
  std::vector<Simulated> live_;
  int64_t step_ = 0;
  int64_t preemptions_ = 0;
};

TEST(Batcher, EverySequenceEndsWhateverTheLimits) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  int64_t preemptions = 0;
  for (const int32_t rows_max : {1, 3, 16, 512}) {
    for (const int32_t pages : {8, 13, 200}) {
      Simulation simulation(seed, rows_max, 6, pages);
      for (int i = 0; i < 30; ++i) simulation.Arrive();
      for (int step = 0; !simulation.empty(); ++step) {
        ASSERT_LT(step, 100000) << rows_max << " rows, " << pages << " pages";
        ASSERT_TRUE(simulation.Step()) << rows_max << " rows, " << pages << " pages";
      }
      simulation.ExpectAllFree();
      preemptions += simulation.preemptions();
    }
  }
  EXPECT_GT(preemptions, 0);
}

}  // namespace
}  // namespace atoll::attention_node
