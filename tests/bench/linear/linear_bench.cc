// linear_bench [--isa auto|reference|avx2|avx512|avx512bf16] [--threads N] [--budget SECONDS] [--clock wall|thread]
// Linear and grouped experts at one row and at many, each against the ceiling of this run, reads measured in turns with each: time
// by the roofline max(bytes / read bandwidth, operations / multiply-add rate) over the time taken. Weights far exceed the caches: every call
// takes the next of many copies.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/huge_buffer.h"
#include "kernels/grouped_experts/grouped_experts.h"
#include "kernels/linear/linear.h"
#include "tests/bench/ceilings/ceilings.h"

namespace atoll::bench {
namespace {

using namespace atoll::kernels;

constexpr int64_t kCopiesBytes = int64_t{512} << 20;

struct Bench {
  Context context;
  Ceilings ceilings;
  ReadCeiling* read = nullptr;
  double budget_s = 0.3;
};

// The fastest of several runs, a ceiling of reads measured in turns with them.
struct Measured {
  double seconds = 1e30;
  double read_bytes_per_s = 0;
};

Measured InTurns(const Bench& bench, const std::function<void()>& run, int runs_min) {
  constexpr int kTurns = 4;
  Measured best;
  for (int turn = 0; turn < kTurns; ++turn) {
    best.read_bytes_per_s = std::max(best.read_bytes_per_s, bench.read->Measure(0.1 * bench.budget_s));
    best.seconds = std::min(best.seconds, BestSeconds(run, (runs_min + kTurns - 1) / kTurns, bench.budget_s / kTurns));
  }
  return best;
}

// Codes as a quantizer leaves them: normally distributed, the largest of a block of 128 x 128 about 448.
std::vector<uint8_t> DrawCodes() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 105.0f);
  std::vector<uint8_t> codes(1 << 16);
  for (uint8_t& code : codes) code = FloatToE4M3(std::clamp(normal(random), -448.0f, 448.0f));
  return codes;
}

void FillBytes(void* data, int64_t bytes, DType dtype) {
  static const std::vector<uint8_t> codes = DrawCodes();
  uint32_t state = 12345;
  const auto next = [&] { return state = state * 1664525u + 1013904223u, state >> 8; };
  auto* const at = static_cast<uint8_t*>(data);
  if (dtype == DType::kF8E4M3) {
    for (int64_t i = 0; i < bytes; ++i) at[i] = codes[next() % codes.size()];
  } else {
    for (int64_t i = 0; i < bytes; i += 2) at[i] = static_cast<uint8_t>(next()), at[i + 1] = static_cast<uint8_t>((next() & 0x80) | 0x3C);
  }
}

// Copies of one random packed matrix, kCopiesBytes of them together.
struct Copies {
  HugeBuffer buffer;
  std::vector<PackedMatrix> matrices;

  Copies(const Bench& bench, DType dtype, int64_t outputs, int64_t inputs, int64_t bytes_all) {
    HugeBuffer raw(static_cast<size_t>(outputs * inputs * DTypeBytes(dtype)));
    FillBytes(raw.data(), static_cast<int64_t>(raw.bytes()), dtype);
    const std::vector<float> scales((outputs + 127) / 128 * ((inputs + 127) / 128), 0.01f);
    const PackSource source{.dtype = dtype, .data = raw.data(), .row_stride = inputs,
                            .scales = dtype == DType::kF8E4M3 ? scales.data() : nullptr, .scale_stride = (inputs + 127) / 128,
                            .row0 = 0, .rows = outputs, .col0 = 0, .cols = inputs};
    const int64_t bytes = PackedBytes(source), count = std::max<int64_t>(1, bytes_all / bytes);
    buffer = HugeBuffer(static_cast<size_t>(bytes * count));
    PackedMatrix first;
    if (const auto error = PackMatrix(bench.context, source, buffer.span(), &first); !error.ok()) std::puts(error.text.c_str()), std::exit(1);
    for (int64_t i = 0; i < count; ++i) {
      if (i > 0) std::memcpy(buffer.data() + i * bytes, buffer.data(), bytes);
      matrices.push_back(first);
      matrices.back().data = buffer.data() + i * bytes;
    }
  }
};

void Print(const Bench& bench, const std::string& what, DType dtype, int64_t rows, const Measured& measured, double bytes, double flops) {
  const double seconds = measured.seconds;
  const double read_s = bytes / measured.read_bytes_per_s, multiply_s = flops / bench.ceilings.FlopsOf(bench.context.isa, true);
  std::printf("%-34s %-5s %4ld rows %9.1f us %7.1f GB/s %8.1f GFLOP/s  %s %.2f\n", what.c_str(), dtype == DType::kF8E4M3 ? "fp8" : "bf16",
              static_cast<long>(rows), seconds * 1e6, bytes / seconds * 1e-9, flops / seconds * 1e-9,
              read_s > multiply_s ? "of read bandwidth " : "of multiply-add rate", std::max(read_s, multiply_s) / seconds);
  std::fflush(stdout);
}

void BenchLinear(const Bench& bench, const char* name, int64_t outputs, int64_t inputs, DType dtype) {
  const Copies copies(bench, dtype, outputs, inputs, kCopiesBytes);
  for (int64_t rows : {1, 3, 8, 16, 66, 128}) {
    std::vector<uint16_t> x(rows * inputs, 0x3F80);
    std::vector<float> y(rows * outputs);
    const ConstMatrixView x_view(x.data(), DType::kBF16, rows, inputs, inputs);
    const MatrixView y_view{y.data(), DType::kF32, rows, outputs, outputs};
    // One run is about a millisecond: long for the clock, short enough to fall between the time slices of other programs.
    const double call_s = std::max(static_cast<double>(outputs * inputs * DTypeBytes(dtype)) / bench.ceilings.read_bytes_per_s,
                                   2.0 * static_cast<double>(rows * outputs * inputs) / bench.ceilings.FlopsOf(bench.context.isa, true));
    const int64_t calls = std::max<int64_t>(1, static_cast<int64_t>(1e-3 / call_s));
    size_t next = 0;
    Measured best = InTurns(bench, [&] {
      for (int64_t i = 0; i < calls; ++i, next = (next + 1) % copies.matrices.size()) {
        if (!Linear(bench.context, copies.matrices[next], x_view, y_view).ok()) std::abort();
      }
    }, 3);
    best.seconds /= static_cast<double>(calls);
    Print(bench, std::string(name) + " " + std::to_string(inputs) + " -> " + std::to_string(outputs), dtype, rows, best,
          static_cast<double>(copies.matrices[0].panels * copies.matrices[0].panel_bytes), 2.0 * rows * outputs * inputs);
  }
}

// `rows` rows of each of 8 experts.
void BenchExperts(const Bench& bench, const char* name, int64_t hidden, int64_t intermediate, DType dtype) {
  constexpr int64_t kExperts = 8;
  const Copies in(bench, dtype, intermediate, hidden, kCopiesBytes), down(bench, dtype, hidden, intermediate, kCopiesBytes / 2);
  const size_t sets = std::max<size_t>(1, std::min(in.matrices.size() / (2 * kExperts), down.matrices.size() / kExperts));
  for (int64_t rows : {1, 3, 8, 16, 66, 128}) {
    const int64_t pairs = rows * kExperts;
    std::vector<uint16_t> x(rows * hidden, 0x3F80), out(pairs * hidden);
    std::vector<int32_t> pair_row(pairs);
    for (int64_t p = 0; p < pairs; ++p) pair_row[p] = static_cast<int32_t>(p % rows);
    GroupedExperts op({.pairs_max = pairs, .intermediate_max = intermediate});
    size_t set = 0;
    const Measured best = InTurns(bench, [&] {
      ExpertGroup groups[kExperts];
      for (int64_t e = 0; e < kExperts; ++e) {
        const size_t expert = set * kExperts + e;
        groups[e] = {in.matrices[(2 * expert) % in.matrices.size()], in.matrices[(2 * expert + 1) % in.matrices.size()],
                     down.matrices[expert % down.matrices.size()], e * rows, rows};
      }
      set = (set + 1) % sets;
      const auto error = op.Run(bench.context, groups, {x.data(), DType::kBF16, rows, hidden, hidden}, pair_row,
                                {out.data(), DType::kBF16, pairs, hidden, hidden});
      if (!error.ok()) std::abort();
    }, static_cast<int>(2 * sets));
    const auto bytes_of = [](const PackedMatrix& m) { return static_cast<double>(m.panels * m.panel_bytes); };
    Print(bench, std::string(name) + " 8 x " + std::to_string(hidden) + "/" + std::to_string(intermediate), dtype, rows, best,
          kExperts * (2 * bytes_of(in.matrices[0]) + bytes_of(down.matrices[0])), 6.0 * pairs * hidden * intermediate);
  }
}

void RunAll(const Bench& bench) {
  for (DType dtype : {DType::kF8E4M3, DType::kBF16}) {
    BenchLinear(bench, "small q_a", 768, 2048, dtype);
    BenchLinear(bench, "small dense up", 6144, 2048, dtype);
    BenchLinear(bench, "V3 o", 7168, 16384, dtype);
    BenchExperts(bench, "small experts", 2048, 1024, dtype);
    BenchExperts(bench, "V3 experts", 7168, 2048, dtype);
  }
  BenchLinear(bench, "small head", 4096, 2048, DType::kBF16);
}

const char* Option(int argc, char** argv, const char* name, const char* otherwise) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0) return argv[i + 1];
  }
  return otherwise;
}

}  // namespace
}  // namespace atoll::bench

int main(int argc, char** argv) {
  using namespace atoll;
  bench::Bench bench;
  if (const auto error = kernels::ParseIsa(bench::Option(argc, argv, "--isa", "auto"), &bench.context.isa); !error.ok()) {
    std::puts(error.text.c_str());
    return 1;
  }
  kernels::ComputePool pool({.threads = std::atoi(bench::Option(argc, argv, "--threads", "0")), .pin = true});
  pool.PinCaller();
  bench.context.pool = &pool;
  bench.budget_s = std::atof(bench::Option(argc, argv, "--budget", "0.3"));
  if (std::strcmp(bench::Option(argc, argv, "--clock", "wall"), "thread") == 0) bench::CountThreadTime();
  bench.ceilings = bench::MeasureCeilings(pool);
  bench::ReadCeiling read(pool);
  bench.read = &read;
  std::printf("isa %s, %d pinned threads; read %.1f GB/s, fma %.0f GFLOP/s, vdpbf16ps %.0f GFLOP/s\n", kernels::IsaName(bench.context.isa),
              pool.threads(), bench.ceilings.read_bytes_per_s * 1e-9, bench.ceilings.fma_flops * 1e-9, bench.ceilings.dot_flops * 1e-9);
  pool.BeginStage();
  bench::RunAll(bench);
  pool.EndStage();
}
