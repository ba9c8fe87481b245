#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>

#include "kernels/cpu/huge_buffer.h"
#include "kernels/linear/linear.h"
#include "kernels/mla/form.h"
#include "kernels/mla/mla_decode.h"
#include "kernels/mla/mla_prefill.h"
#include "op_testing.h"
// The scalar functions, for an implementation of mla_rows.h that shares nothing else with the kernels.
#include "kernels/math/lanes_scalar.h"
#include "kernels/math/float_functions.h"

namespace atoll::kernels::testing {
namespace {

MlaShape ShapeOf(DType dtype, int64_t heads, int64_t nope, int64_t rope, int64_t value, int64_t latent) {
  return {.heads = heads, .nope_dim = nope, .value_dim = value, .pages = {.layers = 2, .latent_dim = latent, .rope_dim = rope, .dtype = dtype},
          .scale = 1.0f / std::sqrt(static_cast<float>(nope + rope))};
}

// Pages of a sequence with `keys` positions written in layer 1; everything else is NaN.
struct Sequence {
  Sequence(const PageLayout& pages, std::mt19937& random, int64_t keys) : layout(pages) {
    for (int64_t first = 0; first < keys; first += kPagePositions) {
      memory.emplace_back(layout.PageBytes(), std::byte{0xFF});
      table.push_back(memory.back().data());
    }
    std::normal_distribution<float> normal;
    for (int64_t key = 0; key < keys; ++key) {
      for (int64_t i = 0; i < layout.RowElements(); ++i) Set(key, i, normal(random));
    }
  }
  void Set(int64_t key, int64_t i, float value) {
    std::byte* row = KeyRow(layout, table.data(), 1, key);
    if (layout.dtype == DType::kBF16) {
      reinterpret_cast<BFloat16*>(row)[i] = ToBFloat16(value);
    } else {
      reinterpret_cast<float*>(row)[i] = value;
    }
  }
  float Get(int64_t key, int64_t i) const {
    const std::byte* row = KeyRow(layout, table.data(), 1, key);
    return layout.dtype == DType::kBF16 ? ToFloat(reinterpret_cast<const BFloat16*>(row)[i]) : reinterpret_cast<const float*>(row)[i];
  }
  PageLayout layout;
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::byte*> table;
};

struct Scratch {
  explicit Scratch(int64_t bytes) : buffer(bytes) { std::memset(buffer.data(), 0xFF, bytes); }
  HugeBuffer buffer;
};

void Decode(const Context& context, const MlaShape& shape, std::span<const MlaRow> rows, TestMatrix& qa, TestMatrix& q_rope, TestMatrix& z) {
  Scratch scratch(MlaDecodeScratchBytes(shape, Threads(context)));
  const KernelError error = MlaDecode(context, {.shape = shape, .layer = 1, .rows = rows, .qa = qa.view(), .q_rope = q_rope.view(), .z = z.view(),
                                                .scratch = scratch.buffer.span()});
  ASSERT_TRUE(error.ok()) << error.text;
}

// kv_b of all heads, [heads * (nope + value), latent], packed per head.
struct Expansion {
  Expansion(const MlaShape& shape, std::mt19937& random) : weights(shape.pages.dtype, shape.heads * (shape.nope_dim + shape.value_dim), shape.pages.latent_dim, 0) {
    weights.FillNormal(random, 1.0f / std::sqrt(static_cast<float>(shape.pages.latent_dim)));
    for (int64_t head = 0; head < shape.heads; ++head) {
      const int64_t row0 = head * (shape.nope_dim + shape.value_dim);
      uk.push_back(Pack(row0, shape.nope_dim));
      uv.push_back(Pack(row0 + shape.nope_dim, shape.value_dim));
    }
  }
  PackedMatrix Pack(int64_t row0, int64_t rows) {
    const MatrixView w = weights.view();
    const PackSource source = {.dtype = w.dtype, .data = w.data, .row_stride = w.stride, .row0 = row0, .rows = rows, .col0 = 0, .cols = w.cols};
    buffers.push_back(std::make_unique<HugeBuffer>(PackedBytes(source)));
    PackedMatrix packed;
    const KernelError error = PackMatrix({}, source, buffers.back()->span(), &packed);
    EXPECT_TRUE(error.ok()) << error.text;
    return packed;
  }
  TestMatrix weights;
  std::vector<std::unique_ptr<HugeBuffer>> buffers;
  std::vector<PackedMatrix> uk, uv;
};

struct PrefillQueries {
  PrefillQueries(const MlaShape& shape, std::mt19937& random, int64_t rows)
      : nope(shape.pages.dtype, rows, shape.heads * shape.nope_dim), rope(shape.pages.dtype, rows, shape.heads * shape.pages.rope_dim) {
    nope.FillNormal(random);
    rope.FillNormal(random);
  }
  TestMatrix nope, rope;
};

void Prefill(const Context& context, const MlaShape& shape, std::span<const MlaRow> rows, int64_t rows_max, PrefillQueries& q, const Expansion& expansion, TestMatrix& out) {
  Scratch scratch(MlaPrefillScratchBytes(shape, rows_max, Threads(context)));
  const KernelError error = MlaPrefill(context, {.shape = shape, .layer = 1, .rows = rows, .q_nope = q.nope.view(), .q_rope = q.rope.view(), .uk = expansion.uk,
                                                 .uv = expansion.uv, .out = out.view(), .rows_max = rows_max, .scratch = scratch.buffer.span()});
  ASSERT_TRUE(error.ok()) << error.text;
}

// --- mla_rows.h once more, straight from its text: one head of one row ---

using Keys = std::vector<std::vector<float>>;

float SpecDot(const std::vector<float>& q, const std::vector<float>& k) {
  float acc = 0;
  for (size_t i = 0; i < q.size(); i += 2) {
    acc = std::fma(q[i + 1], k[i + 1], acc);
    acc = std::fma(q[i], k[i], acc);
  }
  return acc;
}

std::vector<float> SpecAttention(const std::vector<float>& q, const Keys& keys, const Keys& values, float scale, bool bf16) {
  FlushDenormals flush;
  const size_t width = values[0].size();
  std::vector<float> z(width);
  float max = 0, sum = 0;
  for (size_t start = 0; start < keys.size(); start += 1024) {
    const size_t count = std::min<size_t>(1024, keys.size() - start);
    std::vector<float> p(count + 1, 0.0f);
    float m = -INFINITY;
    for (size_t j = 0; j < count; ++j) p[j] = scale * SpecDot(q, keys[start + j]), m = std::max(m, p[j]);
    std::array<float, 16> lanes{};
    for (size_t j = 0; j < count; ++j) {
      const float e = Exp(p[j] - m);
      lanes[j % 16] += e;
      p[j] = bf16 ? ToFloat(ToBFloat16(e)) : e;
    }
    for (int half = 8; half >= 1; half /= 2) for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    const float merged = start == 0 ? m : std::max(max, m);
    const float a = start == 0 ? 0 : Exp(max - merged), b = Exp(m - merged);
    for (size_t d = 0; d < width; ++d) {
      float acc = 0;
      for (size_t j = 0; j < count; j += 2) {
        acc = std::fma(p[j + 1], j + 1 < count ? values[start + j + 1][d] : 0.0f, acc);
        acc = std::fma(p[j], values[start + j][d], acc);
      }
      z[d] = start == 0 ? acc : std::fma(z[d], a, acc * b);
    }
    sum = start == 0 ? lanes[0] : std::fma(sum, a, lanes[0] * b);
    max = merged;
  }
  for (float& v : z) v = v / sum;
  return z;
}

TEST(MlaDecode, ReferenceIsTheSpecificationInEveryBit) {
  for (DType dtype : {DType::kBF16, DType::kF32}) {
    const MlaShape shape = ShapeOf(dtype, 3, 4, 4, 6, 10);
    std::mt19937 random(1);
    Sequence sequence(shape.pages, random, 2600);
    const std::vector<int32_t> positions = {0, 1, 62, 64, 1023, 1024, 2590, 2047};
    const int64_t n = static_cast<int64_t>(positions.size());
    TestMatrix qa(dtype, n, 3 * 10), q_rope(dtype, n, 3 * 4), z(dtype, n, 3 * 10);
    qa.FillNormal(random);
    q_rope.FillNormal(random);
    std::vector<MlaRow> rows;
    for (int32_t i = 0; i < n; ++i) rows.push_back({sequence.table.data(), positions[i], i});
    Decode({}, shape, rows, qa, q_rope, z);
    for (int64_t r = 0; r < n; ++r) {
      Keys keys, values;
      for (int64_t key = 0; key <= positions[r]; ++key) {
        keys.emplace_back();
        for (int64_t i = 0; i < 14; ++i) keys.back().push_back(sequence.Get(key, i));
        values.emplace_back(keys.back().begin(), keys.back().begin() + 10);
      }
      for (int64_t head = 0; head < 3; ++head) {
        std::vector<float> q;
        for (int64_t i = 0; i < 10; ++i) q.push_back(qa.Get(r, head * 10 + i));
        for (int64_t i = 0; i < 4; ++i) q.push_back(q_rope.Get(r, head * 4 + i));
        const std::vector<float> want = SpecAttention(q, keys, values, shape.scale, dtype == DType::kBF16);
        for (int64_t d = 0; d < 10; ++d) {
          const float rounded = dtype == DType::kBF16 ? ToFloat(ToBFloat16(want[d])) : want[d];
          ASSERT_EQ(z.Get(r, head * 10 + d), rounded) << "position " << positions[r] << " head " << head << " column " << d;
        }
      }
    }
  }
}

struct ShapeCase {
  int64_t heads, nope, rope, value, latent;
};
const ShapeCase kShapeCases[] = {{8, 32, 16, 32, 64}, {1, 2, 2, 1, 2}, {17, 6, 4, 33, 70}, {2, 128, 64, 128, 512}, {16, 16, 8, 48, 96}};
const int64_t kKeyCounts[] = {1, 2, 3, 17, 63, 64, 65, 130, 1023, 1024, 1025, 1100, 2050};

class MlaPerIsa : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Host, MlaPerIsa, ::testing::ValuesIn(HostIsas()), [](const auto& info) { return std::string(IsaName(info.param)); });

TEST_P(MlaPerIsa, DecodeEqualsTheReferenceForOneAndManyRowsAndThreads) {
  ComputePool pool({.threads = 3});
  for (const ShapeCase& c : kShapeCases) {
    for (DType dtype : {DType::kBF16, DType::kF32}) {
      const MlaShape shape = ShapeOf(dtype, c.heads, c.nope, c.rope, c.value, c.latent);
      std::mt19937 random(2);
      std::vector<std::unique_ptr<Sequence>> sequences;
      std::vector<MlaRow> rows;
      const bool heavy = c.latent > 100;   // the reference is slow
      for (int64_t keys : kKeyCounts) {
        if (heavy && keys > 130 && keys != 1025) continue;
        sequences.push_back(std::make_unique<Sequence>(shape.pages, random, keys));
        rows.push_back({sequences.back()->table.data(), static_cast<int32_t>(keys - 1), static_cast<int32_t>(rows.size())});
      }
      const int64_t n = static_cast<int64_t>(rows.size());
      TestMatrix qa(dtype, n, c.heads * c.latent), q_rope(dtype, n, c.heads * c.rope);
      TestMatrix want(dtype, n, c.heads * c.latent), got(dtype, n, c.heads * c.latent), alone(dtype, n, c.heads * c.latent);
      qa.FillNormal(random);
      q_rope.FillNormal(random);
      Decode({}, shape, rows, qa, q_rope, want);
      Decode({GetParam(), &pool}, shape, rows, qa, q_rope, got);
      for (const MlaRow& row : rows) Decode({GetParam(), nullptr}, shape, {&row, 1}, qa, q_rope, alone);
      EXPECT_EQ(want.bytes(), got.bytes()) << "heads " << c.heads << " latent " << c.latent << " " << DTypeName(dtype);
      EXPECT_EQ(want.bytes(), alone.bytes());
      EXPECT_TRUE(got.PadsUntouched());
    }
  }
}

TEST(MlaPrefill, EveryPathEqualsTheReferenceHoweverRowsAreCut) {
  ComputePool pool({.threads = 3});
  for (const ShapeCase& c : kShapeCases) {
    for (DType dtype : {DType::kBF16, DType::kF32}) {
      const MlaShape shape = ShapeOf(dtype, c.heads, c.nope, c.rope, c.value, c.latent);
      std::mt19937 random(3);
      const Expansion expansion(shape, random);
      const bool small = c.latent <= 64;   // the reference is slow
      Sequence first(shape.pages, random, small ? 1040 : 80), second(shape.pages, random, 40);
      std::vector<MlaRow> rows;
      const auto add = [&](Sequence& s, int32_t from, int32_t to) {
        for (int32_t p = from; p < to; ++p) rows.push_back({s.table.data(), p, static_cast<int32_t>(rows.size())});
      };
      add(second, 0, 18);
      add(first, small ? 1015 : 60, small ? 1034 : 79);
      const int64_t n = static_cast<int64_t>(rows.size());
      PrefillQueries q(shape, random, n);
      TestMatrix want(dtype, n, c.heads * c.value);
      Prefill({}, shape, rows, n, q, expansion, want);
      for (Isa isa : HostIsas()) {
        TestMatrix got(dtype, n, c.heads * c.value), cut(dtype, n, c.heads * c.value);
        Prefill({isa, &pool}, shape, rows, n, q, expansion, got);
        for (size_t at = 0; at < rows.size() && isa != Isa::kReference; at += 13) {
          Prefill({isa, nullptr}, shape, std::span(rows).subspan(at, std::min<size_t>(13, rows.size() - at)), 9, q, expansion, cut);
        }
        EXPECT_EQ(want.bytes(), got.bytes()) << IsaName(isa) << " heads " << c.heads << " latent " << c.latent << " " << DTypeName(dtype);
        if (isa != Isa::kReference) { EXPECT_EQ(want.bytes(), cut.bytes()) << IsaName(isa); }
        EXPECT_TRUE(got.PadsUntouched());
      }
    }
  }
}

// Check 7 of the specification: both forms against the naive formula in float64.
TEST(Mla, AbsorbedEqualsNaive) {
  const MlaShape shape = ShapeOf(DType::kF32, 5, 16, 8, 12, 24);
  std::mt19937 random(4);
  const Expansion expansion(shape, random);
  const int64_t n = 1300;
  Sequence sequence(shape.pages, random, n);
  const std::vector<int32_t> positions = {0, 77, 1023, 1024, 1299};
  std::vector<MlaRow> rows;
  for (int32_t i = 0; i < 5; ++i) rows.push_back({sequence.table.data(), positions[i], i});
  PrefillQueries q(shape, random, 5);
  TestMatrix naive(DType::kF32, 5, 5 * 12), qa(DType::kF32, 5, 5 * 24), z(DType::kF32, 5, 5 * 24);
  Prefill({DetectIsa(), nullptr}, shape, rows, 5, q, expansion, naive);
  const auto weight = [&](int64_t row, int64_t col) -> double { return expansion.weights.Get(row, col); };
  for (int64_t r = 0; r < 5; ++r) {
    for (int64_t i = 0; i < 5 * 24; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < 16; ++k) sum += q.nope.Get(r, i / 24 * 16 + k) * weight(i / 24 * 28 + k, i % 24);
      qa.Set(r, i, static_cast<float>(sum));
    }
  }
  Decode({DetectIsa(), nullptr}, shape, rows, qa, q.rope, z);
  for (int64_t r = 0; r < 5; ++r) {
    for (int64_t head = 0; head < 5; ++head) {
      std::vector<double> score(positions[r] + 1), out(12);
      double total = 0, max = -1e30;
      for (int32_t j = 0; j <= positions[r]; ++j) {
        double dot = 0;
        for (int64_t k = 0; k < 16; ++k) {
          double key = 0;
          for (int64_t i = 0; i < 24; ++i) key += weight(head * 28 + k, i) * sequence.Get(j, i);
          dot += key * q.nope.Get(r, head * 16 + k);
        }
        for (int64_t k = 0; k < 8; ++k) dot += double{sequence.Get(j, 24 + k)} * q.rope.Get(r, head * 8 + k);
        score[j] = dot * shape.scale;
        max = std::max(max, score[j]);
      }
      for (double& s : score) total += s = std::exp(s - max);
      for (int64_t d = 0; d < 12; ++d) {
        double absorbed = 0;
        for (int64_t i = 0; i < 24; ++i) absorbed += weight(head * 28 + 16 + d, i) * z.Get(r, head * 24 + i);
        for (int32_t j = 0; j <= positions[r]; ++j) {
          double v = 0;
          for (int64_t i = 0; i < 24; ++i) v += weight(head * 28 + 16 + d, i) * sequence.Get(j, i);
          out[d] += score[j] / total * v;
        }
        EXPECT_NEAR(naive.Get(r, head * 12 + d), out[d], 2e-5);
        EXPECT_NEAR(absorbed, out[d], 2e-5);
      }
    }
  }
}

// A row that turns to NaN must not reach rows before it in the same tile.
TEST_P(MlaPerIsa, LaterRowsNeverTouchEarlierOnes) {
  for (DType dtype : {DType::kBF16, DType::kF32}) {
    const MlaShape shape = ShapeOf(dtype, 2, 8, 4, 8, 16);
    std::mt19937 random(5);
    const Expansion expansion(shape, random);
    Sequence sequence(shape.pages, random, 32);
    for (int64_t i = 0; i < 20; ++i) sequence.Set(20, i, NAN);
    std::vector<MlaRow> rows;
    for (int32_t p = 8; p < 24; ++p) rows.push_back({sequence.table.data(), p, p - 8});
    PrefillQueries q(shape, random, 16);
    TestMatrix out(dtype, 16, 2 * 8);
    Prefill({GetParam(), nullptr}, shape, rows, 16, q, expansion, out);
    for (int64_t r = 0; r < 16; ++r) EXPECT_EQ(std::isnan(out.Get(r, 0)), r >= 12) << r;
  }
}

TEST(Mla, RefusesWhatDoesNotFit) {
  const MlaShape shape = ShapeOf(DType::kBF16, 2, 8, 4, 8, 16);
  std::mt19937 random(6);
  Sequence sequence(shape.pages, random, 3);
  TestMatrix qa(DType::kBF16, 1, 32), q_rope(DType::kBF16, 1, 8), z(DType::kBF16, 1, 32), wide(DType::kF32, 1, 32);
  Scratch scratch(MlaDecodeScratchBytes(shape, 1));
  const MlaRow row = {sequence.table.data(), 2, 0}, stranger = {sequence.table.data(), 2, 1};
  MlaDecodeArgs args = {.shape = shape, .layer = 1, .rows = {&row, 1}, .qa = qa.view(), .q_rope = q_rope.view(), .z = z.view(), .scratch = scratch.buffer.span()};
  EXPECT_TRUE(MlaDecode({}, args).ok());
  args.layer = 2;
  EXPECT_EQ(MlaDecode({}, args).code, KernelErrorCode::kInvalidShape);
  args.layer = 1;
  args.rows = {&stranger, 1};
  EXPECT_EQ(MlaDecode({}, args).code, KernelErrorCode::kInvalidValue);
  args.rows = {&row, 1};
  args.qa = wide.view();
  EXPECT_EQ(MlaDecode({}, args).code, KernelErrorCode::kUnsupported);
  args.qa = qa.view();
  args.scratch = args.scratch.first(1000);
  EXPECT_EQ(MlaDecode({}, args).code, KernelErrorCode::kInvalidShape);
}

}  // namespace
}  // namespace atoll::kernels::testing
