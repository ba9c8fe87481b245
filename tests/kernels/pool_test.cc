#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <vector>

#include "kernels/context.h"
#include "kernels/cpu/huge_buffer.h"

namespace atoll::kernels {
namespace {

TEST(Isa, NamesRoundTripWhereTheHostHasThem) {
  for (Isa isa : {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
    Isa parsed = Isa::kReference;
    const KernelError error = ParseIsa(IsaName(isa), &parsed);
    EXPECT_EQ(error.ok(), HostSupports(isa)) << error.text;
    if (error.ok()) { EXPECT_EQ(parsed, isa); }
  }
}

TEST(Isa, AutoIsTheBestAndUnknownNamesAreRefused) {
  Isa isa = Isa::kReference;
  EXPECT_TRUE(ParseIsa("auto", &isa).ok());
  EXPECT_EQ(isa, DetectIsa());
  isa = Isa::kAvx2;
  EXPECT_EQ(ParseIsa("sse9", &isa).code, KernelErrorCode::kInvalidValue);
  EXPECT_EQ(isa, Isa::kAvx2);
}

TEST(ComputePool, EveryBlockRunsOnce) {
  for (int threads : {1, 2, 5}) {
    ComputePool pool({.threads = threads});
    ASSERT_EQ(pool.threads(), threads);
    for (int64_t blocks : {0, 1, 2, 3, 17, 1000, 140'000}) {   // the last more than one job holds
      std::vector<int> runs(blocks);   // unsynchronized: a block that two threads ran would be a race
      pool.ParallelFor(blocks, [&](int64_t block, int thread) {
        runs[block] += 1;
        ASSERT_LT(thread, threads);
      });
      EXPECT_EQ(std::accumulate(runs.begin(), runs.end(), 0), blocks);
    }
  }
}

TEST(ComputePool, JobsThatFollowEachOtherNeverMix) {
  ComputePool pool({.threads = 3});
  for (int stage = 0; stage < 20; ++stage) {
    pool.BeginStage();
    for (int64_t op = 0; op < 100; ++op) {
      const int64_t blocks = 1 + (op * 7 + stage) % 11;
      std::vector<int64_t> out(blocks, -1);
      pool.ParallelFor(blocks, [&](int64_t block, int) { out[block] = op * 100 + block; });
      for (int64_t block = 0; block < blocks; ++block) ASSERT_EQ(out[block], op * 100 + block);
    }
    pool.EndStage();
  }
}

TEST(ComputePool, EveryThreadFlushesDenormalsAndTheCallerGetsItsModeBack) {
  ComputePool pool({.threads = 2, .pin = true});
  volatile float smallest = std::numeric_limits<float>::min();
  std::vector<float> halves(64, 1.0f);
  pool.ParallelFor(64, [&](int64_t block, int) { halves[block] = smallest * 0.5f; });
  for (float half : halves) EXPECT_EQ(half, 0.0f);
  EXPECT_NE(smallest * 0.5f, 0.0f);
}

TEST(ComputePool, AContextWithoutPoolRunsHere) {
  int64_t sum = 0;
  ParallelFor(Context{}, 5, [&](int64_t block, int thread) { sum += block + thread; });
  EXPECT_EQ(sum, 10);
}

TEST(HugeBuffer, IsZeroedAlignedAndMovable) {
  for (size_t bytes : {size_t{1}, size_t{4096}, (size_t{2} << 20) + 5}) {
    HugeBuffer buffer(bytes);
    ASSERT_EQ(buffer.span().size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    EXPECT_EQ(std::to_integer<int>(buffer.span().back()), 0);
    buffer.span().back() = std::byte{7};
    HugeBuffer moved(std::move(buffer));
    EXPECT_EQ(buffer.data(), nullptr);
    buffer = std::move(moved);
    EXPECT_EQ(std::to_integer<int>(buffer.span().back()), 7);
  }
  EXPECT_EQ(HugeBuffer(0).data(), nullptr);
}

}  // namespace
}  // namespace atoll::kernels
