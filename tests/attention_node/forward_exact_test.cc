// Promise P1 within one node: a position's logits have the same bits however the sequence is cut into steps and
// micro-batches, on every instruction set, with any number of threads, whenever results come.

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/attention_node/forward_pass.h"

namespace atoll::attention_node {
namespace {

const std::string kTales = std::string(ATOLL_SOURCE_DIR) + "/checkpoints/tales";

std::unique_ptr<ForwardPass> Load(const ForwardOptions& options) {
  auto pass = ForwardPass::Load(kTales, options);
  EXPECT_TRUE(pass.ok()) << pass.status();
  return *std::move(pass);
}

ForwardRun MakeRun(int32_t positions, int32_t chunk, int32_t micro_batches) {
  ForwardRun run;
  for (int32_t i = 0; i < positions; ++i) run.tokens.push_back((i * 37 + 11) % 4096);
  run.prompt_count = positions * 2 / 3;
  run.chunk = chunk;
  run.micro_batches = micro_batches;
  return run;
}

bool SameBits(const ForwardTrace& a, const ForwardTrace& b) { return a.logits == b.logits && a.experts == b.experts; }

TEST(ForwardExact, ChunksAndMicroBatchesDoNotShow) {
  const std::unique_ptr<ForwardPass> pass = Load({.kernels = {kernels::DetectIsa(), nullptr}});
  const ForwardTrace whole = pass->Run(MakeRun(150, 512, 1));
  for (const int32_t chunk : {1, 16, 63, 64, 100}) {
    EXPECT_TRUE(SameBits(whole, pass->Run(MakeRun(150, chunk, 1)))) << "chunks of " << chunk;
  }
  EXPECT_TRUE(SameBits(whole, pass->Run(MakeRun(150, 512, 2)))) << "two micro-batches";
  EXPECT_TRUE(SameBits(whole, pass->Run(MakeRun(150, 33, 2)))) << "two micro-batches, chunks of 33";
}

// Beyond one segment of keys (1,024 positions), where partial results merge.
TEST(ForwardExact, SegmentsDoNotShow) {
  const std::unique_ptr<ForwardPass> pass = Load({.kernels = {kernels::DetectIsa(), nullptr}});
  const ForwardTrace whole = pass->Run(MakeRun(1100, 512, 1));
  EXPECT_TRUE(SameBits(whole, pass->Run(MakeRun(1100, 300, 2)))) << "chunks of 300, two micro-batches";
}

TEST(ForwardExact, InstructionSetsAndThreadsDoNotShow) {
  kernels::ComputePoolOptions two_threads;
  two_threads.threads = 2;
  kernels::ComputePool pool(two_threads);
  const ForwardTrace expected = Load({.kernels = {kernels::DetectIsa(), nullptr}})->Run(MakeRun(40, 512, 1));
  for (const kernels::Isa isa : {kernels::Isa::kReference, kernels::Isa::kAvx2, kernels::Isa::kAvx512, kernels::Isa::kAvx512Bf16}) {
    if (!kernels::HostSupports(isa)) continue;
    for (kernels::ComputePool* threads : {static_cast<kernels::ComputePool*>(nullptr), &pool}) {
      EXPECT_TRUE(SameBits(expected, Load({.kernels = {isa, threads}})->Run(MakeRun(40, 512, 1)))) << kernels::IsaName(isa);
    }
  }
}

// A micro-batch whose results are early must not read keys that the one before it has yet to write.
TEST(ForwardExact, WhenResultsComeDoesNotShow) {
  const std::unique_ptr<ForwardPass> pass = Load({.kernels = {kernels::DetectIsa(), nullptr}});
  const ForwardTrace expected = pass->Run(MakeRun(150, 512, 1));
  for (const std::array<int, 2> waits : {std::array{3, 0}, std::array{0, 3}, std::array{1, 2}, std::array{2, 2}}) {
    pass->experts().SetWaits(waits);
    EXPECT_TRUE(SameBits(expected, pass->Run(MakeRun(150, 512, 2)))) << waits[0] << ", " << waits[1];
  }
  EXPECT_GT(pass->experts().wait_calls(), 0);
}

// What a step answers for two sequences of which the first is hurt in some layer.
class HurtStep : public testing::Test, public LogitsReader {
 protected:
  HurtStep() : pass_(Load({.kernels = {kernels::DetectIsa(), nullptr}})), pool_(8) {
    page_bytes_ = static_cast<size_t>(model::PageBytes(pass_->config(), DType::kBF16));
    memory_ = kernels::HugeBuffer(page_bytes_ * 8);
  }

  void OnLogits(std::span<const int32_t> rows, ConstMatrixView logits) override {
    for (size_t i = 0; i < rows.size(); ++i) {
      const float* row = logits.RowAs<float>(static_cast<int64_t>(i));
      logits_[rows[i]].assign(row, row + logits.cols);
    }
  }

  StepOutcome RunTwo() {
    logits_.clear();
    std::vector<Sequence> sequences;
    for (uint64_t id : {1, 2}) {
      SequenceRequest request;
      request.key = {1, id};
      request.prompt_ids = {0, static_cast<int32_t>(100 * id), 7};
      request.max_tokens = 1;
      sequences.emplace_back(std::move(request), 0);
      sequences.back().TakePages(1, pool_, memory_.data(), page_bytes_);
    }
    StepPlan plan;
    BuildStep(std::vector<StepShare>{{&sequences[0], 3}, {&sequences[1], 3}}, 1, plan);
    plan.step = 1;
    StepOutcome outcome;
    pass_->runner().Run(plan, *this, outcome);
    for (Sequence& sequence : sequences) sequence.ReleasePages(pool_);
    return outcome;
  }

  std::unique_ptr<ForwardPass> pass_;
  PagePool pool_;
  size_t page_bytes_ = 0;
  kernels::HugeBuffer memory_;
  std::map<int32_t, std::vector<float>> logits_;  // by row
};

TEST_F(HurtStep, ALostRowEndsItsSequenceAndNoOther) {
  ASSERT_TRUE(RunTwo().sequences[0].ok());
  const std::vector<float> expected = logits_.at(5);
  pass_->experts().after_post = [](const ExpertDispatch& dispatch, std::vector<FailedRow>& failed) {
    if (dispatch.layer == 2) failed.push_back({1, absl::UnavailableError("expert node x was lost")});
  };
  const StepOutcome outcome = RunTwo();
  EXPECT_TRUE(absl::IsUnavailable(outcome.sequences[0]));
  EXPECT_TRUE(outcome.sequences[1].ok());
  EXPECT_EQ(logits_.at(5), expected);
}

TEST_F(HurtStep, ANonFiniteExpertRowEndsItsSequenceNamingTheLayer) {
  RunTwo();
  const std::vector<float> expected = logits_.at(5);
  pass_->experts().after_post = [](const ExpertDispatch& dispatch, std::vector<FailedRow>&) {
    if (dispatch.layer == 3) dispatch.results.RowAs<BFloat16>(4)[9] = ToBFloat16(std::numeric_limits<float>::infinity());
  };
  const StepOutcome outcome = RunTwo();
  EXPECT_TRUE(absl::IsInternal(outcome.sequences[0]));
  EXPECT_NE(std::string(outcome.sequences[0].message()).find("layer 3"), std::string::npos) << outcome.sequences[0];
  EXPECT_TRUE(outcome.sequences[1].ok());
  EXPECT_EQ(logits_.at(5), expected);
}

}  // namespace
}  // namespace atoll::attention_node
