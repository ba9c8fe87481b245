#include "tests/bench/ceilings/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/cpu/huge_buffer.h"

namespace atoll::bench {
namespace {

constexpr long kReadBytes = 512L << 20;
constexpr long kReadBlock = 1L << 20;
constexpr long kRounds = 200'000;

double Rate(kernels::ComputePool& pool, double (*loop)(long), double flops_per_round) {
  std::atomic<double> sink{0};
  const double seconds = BestSeconds([&] { pool.ParallelFor(pool.threads(), [&](int64_t, int) { sink = loop(kRounds); }); }, 5, 0.1);
  return flops_per_round * kRounds * pool.threads() / seconds;
}

double ReadRate(kernels::ComputePool& pool) {
  const kernels::HugeBuffer buffer(kReadBytes);
  std::memset(buffer.data(), 1, buffer.bytes());
  const auto loop = kernels::HostSupports(kernels::Isa::kAvx512) ? ReadLoopAvx512 : ReadLoopAvx2;
  std::atomic<long> sink{0};
  const double seconds = BestSeconds(
      [&] {
        pool.ParallelFor(kReadBytes / kReadBlock, [&](int64_t block, int) { sink = loop(buffer.data() + block * kReadBlock, kReadBlock); });
      },
      8, 0.5);
  return kReadBytes / seconds;
}

}  // namespace

double BestSeconds(const std::function<void()>& run, int runs_min, double budget_s) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30, spent = 0;
  for (int i = 0; i < runs_min || spent < budget_s; ++i) {
    const auto start = Clock::now();
    run();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

Ceilings MeasureCeilings(kernels::ComputePool& pool) {
  using kernels::Isa;
  pool.BeginStage();
  Ceilings ceilings;
  ceilings.read_bytes_per_s = ReadRate(pool);
  ceilings.fma_flops = HostSupports(Isa::kAvx512) ? Rate(pool, FmaLoopAvx512, kFmaFlopsAvx512) : Rate(pool, FmaLoopAvx2, kFmaFlopsAvx2);
  if (HostSupports(Isa::kAvx512Bf16)) ceilings.dot_flops = Rate(pool, DotLoopAvx512Bf16, kDotFlopsAvx512Bf16);
  pool.EndStage();
  return ceilings;
}

}  // namespace atoll::bench
