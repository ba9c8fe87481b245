// What the emulator runs right, and what it catches.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "base/dtype.h"
#include "tests/kernels/cuda/device_testing.h"
#include "tests/kernels/cuda/trial_cuda.h"

namespace atoll::kernels::testing {
namespace {

std::vector<float> Numbers(size_t count) {
  std::vector<float> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 1.0f);
  return numbers;
}

std::vector<float> RunTrial(const DeviceKernel<TrialParams>& kernel, const LaunchShape& shape, size_t out, Fault fault, uint64_t schedule, int64_t count = 0) {
  TestDevice device(schedule);
  const DeviceBuffer from = device.Upload(Numbers(size_t{shape.grid.x} * 128));
  const DeviceBuffer to = device.Empty<float>(out);
  TestDevice::Need(device.stream().Launch(kernel, shape, {from.Pointer<const float>(), to.Pointer<float>(), count, fault}));
  return device.Download<float>(to);
}

std::vector<float> Reverse(Fault fault, uint64_t schedule) { return RunTrial(kTrialReverse, {.grid = {3}, .block = {64}}, 192, fault, schedule); }
void Warp(Fault fault) { RunTrial(kTrialWarp, {.block = {64}}, 256, fault, 5); }

class EmulatorDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST(EmulatorTest, BarriersOrderSharedMemoryUnderEverySchedule) {
  for (uint64_t schedule : kSchedules) {
    const std::vector<float> found = Reverse(Fault::kNone, schedule);
    for (int block = 0; block < 3; ++block) {
      for (int i = 0; i < 64; ++i) ASSERT_EQ(found[block * 64 + i], static_cast<float>(block * 64 + 63 - i + 1)) << "schedule " << schedule;
    }
  }
}

#ifndef __SANITIZE_THREAD__   // which finds the race itself: below
TEST(EmulatorTest, AMissingBarrierShows) {
  std::set<std::vector<uint32_t>> results;
  for (uint64_t schedule : kSchedules) {
    const std::vector<float> found = Reverse(Fault::kNoBarrier, schedule);
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](float x) { return std::isnan(x); })) << "schedule " << schedule;
    std::vector<uint32_t> bits(found.size());
    std::memcpy(bits.data(), found.data(), 4 * bits.size());
    results.insert(bits);
  }
  EXPECT_GE(results.size(), 3u);
}
#endif

TEST(EmulatorTest, SumsThroughDynamicSharedMemoryAndShuffles) {
  for (uint64_t schedule : kSchedules) {
    EXPECT_EQ(RunTrial(kTrialSum, {.grid = {2}, .block = {128}, .shared_bytes = 512}, 2, Fault::kNone, schedule), (std::vector<float>{8256, 24640}));
  }
}

TEST(EmulatorTest, ShufflesAndVotesAreThoseOfAWarp) {
  for (uint64_t schedule : kSchedules) {
    const std::vector<float> found = RunTrial(kTrialWarp, {.block = {64}}, 256, Fault::kNone, schedule);
    for (int lane = 0; lane < 32; ++lane) {
      const std::vector<float> lanes(found.begin() + lane * 8, found.begin() + lane * 8 + 8);
      const float up = static_cast<float>(lane < 3 ? lane + 1 : lane - 2), down = static_cast<float>(lane > 28 ? lane + 1 : lane + 4);
      EXPECT_EQ(lanes, (std::vector<float>{6, static_cast<float>((lane ^ 9) + 1), up, down, 0x9249, 1,
                                           lane < 8 ? static_cast<float>((lane ^ 1) + 1) : 0, 32})) << "lane " << lane;
    }
  }
}

TEST(EmulatorTest, AsyncCopiesArriveWhenAwaitedAndAreNaNBefore) {
  for (uint64_t schedule : kSchedules) {
    const std::vector<float> found = RunTrial(kTrialCopy, {.grid = {2}, .block = {32}}, 256, Fault::kNone, schedule, 200);
    for (int i = 0; i < 256; ++i) ASSERT_EQ(found[i], i < 200 ? static_cast<float>(i + 1) : 0) << i;
  }
  const std::vector<float> early = RunTrial(kTrialCopy, {.block = {32}}, 128, Fault::kCopyTooEarly, 3, 128);
  EXPECT_TRUE(std::all_of(early.begin(), early.end(), [](float x) { return std::isnan(x); }));
}

TEST(EmulatorTest, MatrixInstructionsFollowTheDocumentedFragments) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> a(256), b(128);
  std::vector<float> d(128);
  for (auto& x : a) x = ToBFloat16(normal(random)).bits;
  for (auto& x : b) x = ToBFloat16(normal(random)).bits;
  for (auto& x : d) x = normal(random);
  std::vector<float> expected = d;
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      float& sum = expected[row * 8 + column];
      for (int k = 0; k < 16; ++k) sum = std::fma(ToFloat(BFloat16{a[row * 16 + k]}), ToFloat(BFloat16{b[k * 8 + column]}), sum);
    }
  }
  for (bool by_ldmatrix : {false, true}) {
    for (uint64_t schedule : kSchedules) {
      TestDevice device(schedule);
      const DeviceBuffer on_a = device.Upload(a), on_b = device.Upload(b), on_d = device.Upload(d);
      TestDevice::Need(device.stream().Launch(kTrialMma, {.block = {32}}, {on_a.Pointer<const uint16_t>(), on_b.Pointer<const uint16_t>(), on_d.Pointer<float>(), by_ldmatrix}));
      EXPECT_EQ(device.Download<float>(on_d), expected) << (by_ldmatrix ? "ldmatrix" : "plain loads");
    }
  }
}

TEST(EmulatorTest, EveryE4M3CodeBecomesItsBFloat16) {
  TestDevice device;
  const DeviceBuffer pairs = device.Empty<uint32_t>(256);
  TestDevice::Need(device.stream().Launch(kTrialCodes, {.block = {256}}, {pairs.Pointer<uint32_t>()}));
  const std::vector<uint32_t> found = device.Download<uint32_t>(pairs);
  for (uint32_t i = 0; i < 256; ++i) {
    EXPECT_EQ(found[i] & 0xFFFF, ToBFloat16(E4M3ToFloat(static_cast<uint8_t>(i))).bits);
    EXPECT_EQ(found[i] >> 16, ToBFloat16(E4M3ToFloat(static_cast<uint8_t>(255 - i))).bits);
  }
}

TEST(EmulatorTest, SchedulesReorderBlocksAndAtomicsLoseNothing) {
  std::set<unsigned> orders;
  for (uint64_t schedule : {uint64_t{0}, uint64_t{1}, uint64_t{20251}, uint64_t{77003}, uint64_t{5}}) {
    TestDevice device(schedule);
    const DeviceBuffer counters = device.Upload(std::vector<unsigned>(3));
    TestDevice::Need(device.stream().Launch(kTrialCount, {.grid = {4}, .block = {32}}, {counters.Pointer<unsigned>()}));
    const std::vector<unsigned> found = device.Download<unsigned>(counters);
    EXPECT_EQ(found[0], 4u * (31 * 16) + 32 * 6);
    EXPECT_EQ(found[1], 331u);
    orders.insert(found[2]);
  }
  EXPECT_TRUE(orders.contains(0b00011011) && orders.contains(0b11100100));   // ascending and descending
  EXPECT_GE(orders.size(), 3u);
}

TEST_F(EmulatorDeathTest, DivergentBarriers) {
  EXPECT_DEATH(Reverse(Fault::kEarlyReturn, 7), "kernel TrialReverse, block .*trial_cuda.cu.*divergent barrier.*of 64 threads 54 are at a __syncthreads.*10 have returned");
  EXPECT_DEATH(Reverse(Fault::kTwoBarriers, 7), "kernel TrialReverse.*divergent barrier: thread .0, 0, 0. waits in the __syncthreads of .*trial_cuda.cu");
}

TEST_F(EmulatorDeathTest, DivergentWarpCalls) {
  EXPECT_DEATH(Warp(Fault::kMissingLane), "kernel TrialWarp.*divergent __shfl_sync.*2 have returned");
  EXPECT_DEATH(Warp(Fault::kLaneOutsideMask), "kernel TrialWarp.*__shfl_xor_sync: lane . reads lane .*, which is not in the mask");
}

TEST_F(EmulatorDeathTest, AccessesThatAGpuForgives) {
  EXPECT_DEATH(Reverse(Fault::kSharedOverrun, 7), "wrote beyond the end of tile|use-after-poison");
  EXPECT_DEATH(Warp(Fault::kMisaligned), "an access of 16 bytes is not aligned");
  EXPECT_DEATH(RunTrial(kTrialCopy, {.block = {32}}, 128, Fault::kCopyNotAwaited, 3, 128), "returned with copies by cp.async");
  EXPECT_DEATH(RunTrial(kTrialReverse, {.block = {64}, .shared_bytes = kBlockSharedBytes}, 64, Fault::kNone, 7), "no room for tile of 256 bytes");
#ifdef __SANITIZE_ADDRESS__
  EXPECT_DEATH(Reverse(Fault::kDeviceOverrun, 7), "heap-buffer-overflow");
#endif
}

#ifdef __SANITIZE_THREAD__
TEST_F(EmulatorDeathTest, TheThreadSanitizerSeesAMissingBarrier) {
  EXPECT_DEATH({ Reverse(Fault::kNoBarrier, 7); std::exit(0); }, "data race");
}
#endif

}  // namespace
}  // namespace atoll::kernels::testing
