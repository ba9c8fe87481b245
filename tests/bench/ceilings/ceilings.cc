#include "tests/bench/ceilings/ceilings.h"

#include <time.h>

#include <algorithm>
#include <cstring>

namespace atoll::bench {
namespace {

constexpr long kReadBytes = 512L << 20;
constexpr long kReadRun = 64L << 20;     // of one run: short, so that some runs fall between the time slices of other programs
constexpr long kReadBlock = 1L << 20;
constexpr long kRounds = 200'000;

clockid_t the_clock = CLOCK_MONOTONIC;

double Now() {
  timespec now;
  clock_gettime(the_clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double Rate(kernels::ComputePool& pool, double (*loop)(long), double flops_per_round) {
  std::atomic<double> sink{0};
  const double seconds = BestSeconds([&] { pool.ParallelFor(pool.threads(), [&](int64_t, int) { sink = loop(kRounds); }); }, 5, 0.1);
  return flops_per_round * kRounds * pool.threads() / seconds;
}

}  // namespace

ReadCeiling::ReadCeiling(kernels::ComputePool& pool) : pool_(pool), buffer_(kReadBytes) { std::memset(buffer_.data(), 1, buffer_.bytes()); }

double ReadCeiling::Measure(double budget_s) {
  const auto loop = kernels::HostSupports(kernels::Isa::kAvx512) ? ReadLoopAvx512 : ReadLoopAvx2;
  std::atomic<long> sink{0};
  const double seconds = BestSeconds(
      [&] {
        const std::byte* const from = buffer_.data() + run_++ % (kReadBytes / kReadRun) * kReadRun;
        pool_.ParallelFor(kReadRun / kReadBlock, [&](int64_t block, int) { sink = loop(from + block * kReadBlock, kReadBlock); });
      },
      8, budget_s);
  return kReadRun / seconds;
}

void CountThreadTime() { the_clock = CLOCK_THREAD_CPUTIME_ID; }

double BestSeconds(const std::function<void()>& run, int runs_min, double budget_s) {
  double best = 1e30, spent = 0;
  for (int i = 0; i < runs_min || spent < budget_s; ++i) {
    const double start = Now();
    run();
    const double seconds = Now() - start;
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

Ceilings MeasureCeilings(kernels::ComputePool& pool) {
  using kernels::Isa;
  pool.BeginStage();
  Ceilings ceilings;
  ceilings.read_bytes_per_s = ReadCeiling(pool).Measure(0.5);
  ceilings.fma_flops = HostSupports(Isa::kAvx512) ? Rate(pool, FmaLoopAvx512, kFmaFlopsAvx512) : Rate(pool, FmaLoopAvx2, kFmaFlopsAvx2);
  if (HostSupports(Isa::kAvx512Bf16)) ceilings.dot_flops = Rate(pool, DotLoopAvx512Bf16, kDotFlopsAvx512Bf16);
  pool.EndStage();
  return ceilings;
}

}  // namespace atoll::bench
