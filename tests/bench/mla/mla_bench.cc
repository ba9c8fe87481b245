// mla_bench [--isa auto|reference|avx2|avx512|avx512bf16] [--threads N] [--budget SECONDS]
// Latent attention of one layer in both forms, each against the ceiling of this run: time by the roofline max(bytes / read
// bandwidth, operations / multiply-add rate) over the time taken. The decode form includes its two products per head (q_nope
// through UK^T before, z through UV after), so that the forms compare; the operations are those that each form needs.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/cpu/huge_buffer.h"
#include "kernels/linear/linear.h"
#include "kernels/mla/mla_decode.h"
#include "kernels/mla/mla_prefill.h"
#include "tests/bench/ceilings/ceilings.h"

namespace atoll::bench {
namespace {

using namespace atoll::kernels;

struct Bench {
  Context context;
  Ceilings ceilings;
  double budget_s = 0.3;
};

void OrDie(const KernelError& error) {
  if (error.ok()) return;
  std::puts(error.text.c_str());
  std::exit(1);
}

MlaShape ShapeOf(int64_t heads) {
  return {.heads = heads, .nope_dim = 128, .value_dim = 128, .pages = {.layers = 1, .latent_dim = 512, .rope_dim = 64, .dtype = DType::kBF16}, .scale = 0.07f};
}

// Fp8 weights of every head: UK, its transpose, UV.
struct HeadWeights {
  HugeBuffer raw, packed;
  std::vector<PackedMatrix> uk, uk_transposed, uv;

  HeadWeights(const Bench& bench, const MlaShape& shape) : raw(shape.heads * (shape.nope_dim + shape.value_dim) * shape.pages.latent_dim) {
    uint32_t state = 1;
    for (size_t i = 0; i < raw.bytes(); ++i) state = state * 1664525u + 1013904223u, raw.as<uint8_t>()[i] = static_cast<uint8_t>((state >> 24 & 0x80) | (state >> 16) % 0x40);
    packed = HugeBuffer(static_cast<size_t>(4 * shape.heads * 128 * 1024));
    std::span<std::byte> room = packed.span();
    for (int64_t head = 0; head < shape.heads; ++head) {
      const int64_t row0 = head * (shape.nope_dim + shape.value_dim);
      uk.push_back(Pack(bench, shape, row0, shape.nope_dim, false, &room));
      uk_transposed.push_back(Pack(bench, shape, row0, shape.nope_dim, true, &room));
      uv.push_back(Pack(bench, shape, row0 + shape.nope_dim, shape.value_dim, false, &room));
    }
  }
  PackedMatrix Pack(const Bench& bench, const MlaShape& shape, int64_t row0, int64_t rows, bool transposed, std::span<std::byte>* room) {
    const PackSource source = {.dtype = DType::kF8E4M3, .data = raw.data(), .row_stride = shape.pages.latent_dim, .scales = nullptr, .scale_stride = 0,
                               .row0 = row0, .rows = rows, .col0 = 0, .cols = shape.pages.latent_dim, .transposed = transposed};
    PackedMatrix matrix;
    OrDie(PackMatrix(bench.context, source, *room, &matrix));
    *room = room->subspan(PackedBytes(source));
    return matrix;
  }
};

// `rows` rows: of one sequence, ending at `keys`, or of as many sequences of `keys` keys each.
struct Rows {
  HugeBuffer memory;
  std::vector<std::byte*> pages;
  std::vector<MlaRow> rows;
  std::vector<uint16_t> nope, rope, qa, z, out;

  Rows(const MlaShape& shape, int64_t count, int64_t keys, bool one_sequence) {
    const int64_t pages_each = (keys + kPagePositions - 1) / kPagePositions, sequences = one_sequence ? 1 : count;
    memory = HugeBuffer(static_cast<size_t>(sequences * pages_each * shape.pages.PageBytes()));
    uint32_t state = 2;
    for (size_t i = 0; i < memory.bytes() / 2; ++i) state = state * 1664525u + 1013904223u, memory.as<uint16_t>()[i] = static_cast<uint16_t>((state >> 16 & 0x807F) | 0x3E80);
    for (int64_t i = 0; i < sequences * pages_each; ++i) pages.push_back(memory.data() + i * shape.pages.PageBytes());
    for (int64_t i = 0; i < count; ++i) {
      const int64_t position = one_sequence ? keys - count + i : keys - 1;
      rows.push_back({pages.data() + (one_sequence ? 0 : i * pages_each), static_cast<int32_t>(position), static_cast<int32_t>(i)});
    }
    nope.assign(count * shape.heads * shape.nope_dim, 0x3D80);
    rope.assign(count * shape.heads * shape.pages.rope_dim, 0x3D80);
    qa.assign(count * shape.heads * shape.pages.latent_dim, 0);
    z.assign(count * shape.heads * shape.pages.latent_dim, 0);
    out.assign(count * shape.heads * shape.value_dim, 0);
  }
  MatrixView View(std::vector<uint16_t>& v) const {
    const int64_t count = static_cast<int64_t>(rows.size()), width = static_cast<int64_t>(v.size()) / count;
    return {v.data(), DType::kBF16, count, width, width};
  }
  double Keys() const {
    double keys = 0;
    for (const MlaRow& row : rows) keys += row.position + 1;
    return keys;
  }
};

// Columns of head `head` of a matrix whose heads are `width` wide.
MatrixView HeadOf(MatrixView m, int64_t head, int64_t width) { return {m.RowAs<uint16_t>(0) + head * width, m.dtype, m.rows, width, m.stride}; }

void Print(const Bench& bench, const std::string& what, double seconds, double bytes, double flops) {
  const double by_memory = bytes / bench.ceilings.read_bytes_per_s, by_rate = flops / bench.ceilings.FlopsOf(bench.context.isa, true);
  std::printf("%-60s %9.1f us %7.1f GB/s %8.1f GFLOP/s  %s %.2f\n", what.c_str(), seconds * 1e6, bytes / seconds * 1e-9, flops / seconds * 1e-9,
              by_memory > by_rate ? "of read bandwidth " : "of multiply-add rate", std::max(by_memory, by_rate) / seconds);
  std::fflush(stdout);
}


void BenchDecode(const Bench& bench, const MlaShape& shape, const HeadWeights& weights, Rows& rows, const std::string& what) {
  HugeBuffer scratch(MlaDecodeScratchBytes(shape, Threads(bench.context)));
  std::vector<LinearTask> absorb, expand;
  for (int64_t head = 0; head < shape.heads; ++head) {
    absorb.push_back({.weights = weights.uk_transposed[head], .x = HeadOf(rows.View(rows.nope), head, shape.nope_dim), .y = HeadOf(rows.View(rows.qa), head, shape.pages.latent_dim)});
    expand.push_back({.weights = weights.uv[head], .x = HeadOf(rows.View(rows.z), head, shape.pages.latent_dim), .y = HeadOf(rows.View(rows.out), head, shape.value_dim)});
  }
  const MlaDecodeArgs args = {.shape = shape, .layer = 0, .rows = rows.rows, .qa = rows.View(rows.qa), .q_rope = rows.View(rows.rope), .z = rows.View(rows.z), .scratch = scratch.span()};
  bench.context.pool->BeginStage();
  const double before = BestSeconds([&] { OrDie(LinearBatch(bench.context, absorb)); }, 3, bench.budget_s);
  const double core = BestSeconds([&] { OrDie(MlaDecode(bench.context, args)); }, 3, bench.budget_s);
  const double after = BestSeconds([&] { OrDie(LinearBatch(bench.context, expand)); }, 3, bench.budget_s);
  bench.context.pool->EndStage();
  const double heads = static_cast<double>(shape.heads), keys = rows.Keys();
  Print(bench, what + " decode form, attention alone", core, keys * shape.pages.RowBytes(), 2 * heads * keys * (576 + 512));
  const double products = 2.0 * static_cast<double>(rows.rows.size()) * heads * 512 * 256;
  Print(bench, what + " decode form", before + core + after, keys * shape.pages.RowBytes() + heads * 512 * 256, 2 * heads * keys * (576 + 512) + products);
}

void BenchPrefill(const Bench& bench, const MlaShape& shape, const HeadWeights& weights, Rows& rows, const std::string& what) {
  const int64_t count = static_cast<int64_t>(rows.rows.size());
  HugeBuffer scratch(MlaPrefillScratchBytes(shape, count, Threads(bench.context)));
  const MlaPrefillArgs args = {.shape = shape, .layer = 0, .rows = rows.rows, .q_nope = rows.View(rows.nope), .q_rope = rows.View(rows.rope), .uk = weights.uk, .uv = weights.uv,
                               .out = rows.View(rows.out), .rows_max = count, .scratch = scratch.span()};
  bench.context.pool->BeginStage();
  const double seconds = BestSeconds([&] { OrDie(MlaPrefill(bench.context, args)); }, 3, bench.budget_s);
  bench.context.pool->EndStage();
  const double heads = static_cast<double>(shape.heads), last = rows.rows.back().position + 1;
  Print(bench, what + " prefill form", seconds, last * shape.pages.RowBytes() + heads * 512 * 256, 2 * heads * (rows.Keys() * 320 + last * 512 * 256));
}

void BenchShape(const Bench& bench, const char* name, int64_t heads) {
  const MlaShape shape = ShapeOf(heads);
  const HeadWeights weights(bench, shape);
  for (int64_t keys : {512, 4096}) {
    for (int64_t count : {1, 8, 32}) {
      Rows rows(shape, count, keys, false);
      BenchDecode(bench, shape, weights, rows, std::string(name) + ", " + std::to_string(count) + " sequences of " + std::to_string(keys) + ",");
    }
    Rows rows(shape, 512, keys, true);
    const std::string what = std::string(name) + ", 512 rows up to " + std::to_string(keys) + ",";
    BenchDecode(bench, shape, weights, rows, what);
    BenchPrefill(bench, shape, weights, rows, what);
  }
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
  bench::OrDie(kernels::ParseIsa(bench::Option(argc, argv, "--isa", "auto"), &bench.context.isa));
  kernels::ComputePool pool({.threads = std::atoi(bench::Option(argc, argv, "--threads", "0")), .pin = true});
  pool.PinCaller();
  bench.context.pool = &pool;
  bench.budget_s = std::atof(bench::Option(argc, argv, "--budget", "0.3"));
  bench.ceilings = bench::MeasureCeilings(pool);
  std::printf("%s, %d threads: read %.1f GB/s, fma %.1f GFLOP/s, bf16 dot %.1f GFLOP/s\n", kernels::IsaName(bench.context.isa), pool.threads(),
              bench.ceilings.read_bytes_per_s * 1e-9, bench.ceilings.fma_flops * 1e-9, bench.ceilings.dot_flops * 1e-9);
  bench::BenchShape(bench, "16 heads", 16);
  bench::BenchShape(bench, "128 heads", 128);
}
