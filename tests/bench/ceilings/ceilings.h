#pragma once

// What this host can do at best, measured in the same run as whatever is compared with it: hosts differ sixfold in the ratio of
// arithmetic to memory, so only ratios mean anything.

#include <functional>

#include "kernels/context.h"
#include "kernels/cpu/huge_buffer.h"

namespace atoll::bench {

struct Ceilings {
  double read_bytes_per_s = 0;   // of memory far larger than the caches, huge pages, all threads of the pool
  double fma_flops = 0;          // float32 multiply-add, two operations each
  double dot_flops = 0;          // vdpbf16ps; 0 where the host has none

  // The best rate that an instruction set offers for bf16 rows.
  double FlopsOf(kernels::Isa isa, bool bf16_dot) const { return bf16_dot && isa == kernels::Isa::kAvx512Bf16 ? dot_flops : fma_flops; }
};

// Measures for half a second or so; the caller has pinned itself (ComputePool::PinCaller).
Ceilings MeasureCeilings(kernels::ComputePool& pool);

// The read ceiling by itself: neighbours on a shared host halve and free its memory from one second to the next, so what is
// compared with it is measured in turns with it, the best of either counting.
class ReadCeiling {
 public:
  explicit ReadCeiling(kernels::ComputePool& pool);
  double Measure(double budget_s);   // bytes per second

 private:
  kernels::ComputePool& pool_;
  kernels::HugeBuffer buffer_;
  long run_ = 0;
};

// From now on BestSeconds counts the calling thread's processor time instead of the wall clock: for one thread on a machine
// that others use too. (Their share of the memory bandwidth still shows.)
void CountThreadTime();

// The fastest of several runs, in seconds: at least `runs_min`, then until `budget_s` is spent.
double BestSeconds(const std::function<void()>& run, int runs_min = 3, double budget_s = 0.3);

// Inner loops, one per instruction set. Each does `rounds` rounds and returns its sum, so that nothing is optimized away.
double FmaLoopAvx2(long rounds);
double FmaLoopAvx512(long rounds);
double DotLoopAvx512Bf16(long rounds);
long ReadLoopAvx2(const void* data, long bytes);
long ReadLoopAvx512(const void* data, long bytes);
inline constexpr double kFmaFlopsAvx2 = 12.0 * 8 * 2;      // of one round
inline constexpr double kFmaFlopsAvx512 = 16.0 * 16 * 2;
inline constexpr double kDotFlopsAvx512Bf16 = 16.0 * 32 * 2;

}  // namespace atoll::bench
