#include <cmath>

#include "device_weight.h"
#include "kernels/mla/mla_cuda.h"
#include "kernels/mla/mla_decode.h"
#include "kernels/mla/mla_prefill.h"

namespace atoll::kernels::testing {
namespace {

MlaShape ShapeOf(DType dtype, int64_t heads, int64_t nope, int64_t rope, int64_t value, int64_t latent) {
  return {.heads = heads, .nope_dim = nope, .value_dim = value, .pages = {.layers = 2, .latent_dim = latent, .rope_dim = rope, .dtype = dtype},
          .scale = 1.0f / std::sqrt(static_cast<float>(nope + rope))};
}

// Pages of a sequence with `keys` positions written in layer 1; everything else is NaN.
struct Sequence {
  Sequence(const PageLayout& layout, uint32_t seed, int64_t keys) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (int64_t first = 0; first < keys; first += kPagePositions) {
      memory.emplace_back(layout.PageBytes(), std::byte{0xFF});
      table.push_back(memory.back().data());
    }
    for (int64_t key = 0; key < keys; ++key) {
      for (int64_t i = 0; i < layout.RowElements(); ++i) Set(layout, key, i, normal(random));
    }
  }
  void Set(const PageLayout& layout, int64_t key, int64_t i, float value) {
    std::byte* const row = KeyRow(layout, table.data(), 1, key);
    if (layout.dtype == DType::kBF16) reinterpret_cast<BFloat16*>(row)[i] = ToBFloat16(value);
    else reinterpret_cast<float*>(row)[i] = value;
  }
  // The same page table on a device.
  std::byte* const* On(DeviceRig& rig) const {
    std::vector<std::byte*> there;
    for (const std::vector<std::byte>& page : memory) there.push_back(rig.Upload(page).data());
    return rig.Upload(there).data();
  }
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::byte*> table;
};

// Each row beside its own largest element: probabilities are rounded to bfloat16 relative to other maxima than on the CPU.
void ExpectRowsNear(const TestMatrix& found, TestMatrix& expected, const std::vector<int32_t>& rows) {
  const MatrixView view = expected.view();
  const float tolerance = view.dtype == DType::kBF16 ? 1.0f / 64 : 2e-5f;
  for (int32_t row : rows) {
    float largest = 0;
    for (int64_t col = 0; col < view.cols; ++col) largest = std::max(largest, std::abs(expected.Get(row, col)));
    for (int64_t col = 0; col < view.cols; ++col) ASSERT_NEAR(found.Get(row, col), expected.Get(row, col), tolerance * largest) << "row " << row << ", column " << col;
  }
}

// --- the absorbed form ---

struct DecodeRow {
  int sequence;
  int32_t position;
};

struct DecodeCase {
  DecodeCase(const MlaShape& s, std::vector<int64_t> keys, std::vector<DecodeRow> r)
      : shape(s), rows(std::move(r)), qa(s.pages.dtype, static_cast<int64_t>(rows.size()) + 1, s.heads * s.pages.latent_dim),
        q_rope(s.pages.dtype, static_cast<int64_t>(rows.size()) + 1, s.heads * s.pages.rope_dim) {
    for (size_t i = 0; i < keys.size(); ++i) sequences.emplace_back(s.pages, static_cast<uint32_t>(40 + i), keys[i]);
    std::mt19937 random(31);
    qa.FillNormal(random, 0.3f);
    q_rope.FillNormal(random);
  }
  // Row i of `rows` is row i + 1 of the matrices.
  std::vector<MlaRow> RowsAt(const std::vector<std::byte* const*>& tables) const {
    std::vector<MlaRow> all;
    for (size_t i = 0; i < rows.size(); ++i) all.push_back({tables[rows[i].sequence], rows[i].position, static_cast<int32_t>(i) + 1});
    return all;
  }
  void RunOnCpu(TestMatrix& z) {
    std::vector<std::byte* const*> tables;
    for (const Sequence& sequence : sequences) tables.push_back(sequence.table.data());
    const std::vector<MlaRow> all = RowsAt(tables);
    HugeBuffer scratch(MlaDecodeScratchBytes(shape, 1));
    ATOLL_EXPECT_OK(MlaDecode(Context{}, {.shape = shape, .layer = 1, .rows = all, .qa = qa.view(), .q_rope = q_rope.view(), .z = z.view(), .scratch = scratch.span()}));
  }
  void RunOn(DeviceRig& rig, TestMatrix& z, int64_t positions_max) {
    std::vector<std::byte* const*> tables;
    for (const Sequence& sequence : sequences) tables.push_back(sequence.On(rig));
    DeviceCopy a(rig, qa), r(rig, q_rope), out(rig, z);
    const auto scratch = rig.Room<std::byte>(MlaDecodeDeviceScratchBytes(shape, static_cast<int64_t>(rows.size()), positions_max));
    ATOLL_EXPECT_OK(MlaDecode(rig.stream(), {.shape = shape, .layer = 1, .rows = rig.Upload(RowsAt(tables)), .positions_max = positions_max, .qa = a.view(),
                                             .q_rope = r.view(), .z = out.view(), .scratch = scratch}));
    out.Fetch();
  }
  std::vector<int32_t> Indices() const {
    std::vector<int32_t> all(rows.size());
    std::iota(all.begin(), all.end(), 1);
    return all;
  }
  MlaShape shape;
  std::vector<DecodeRow> rows;
  TestMatrix qa, q_rope;
  std::vector<Sequence> sequences;
};

void CheckDecode(DecodeCase& c, int64_t positions_max) {
  const int64_t rows = static_cast<int64_t>(c.rows.size()) + 1, width = c.shape.heads * c.shape.pages.latent_dim;
  TestMatrix expected(c.shape.pages.dtype, rows, width), found(c.shape.pages.dtype, rows, width);
  c.RunOnCpu(expected);
  UnderSchedules([&](DeviceRig& rig) {
    TestMatrix z(c.shape.pages.dtype, rows, width);
    c.RunOn(rig, z, positions_max);
    std::memcpy(found.view().data, z.bytes().data(), z.bytes().size());
    return z.bytes();
  });
  EXPECT_TRUE(found.PadsUntouched());
  EXPECT_TRUE(std::isnan(found.Get(0, 0))) << "a row that nobody names was written";
  ExpectRowsNear(found, expected, c.Indices());
}

class MlaOnADevice : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, MlaOnADevice, ::testing::Values(DType::kBF16, DType::kF32), [](const auto& info) { return std::string(DTypeName(info.param)); });

TEST_P(MlaOnADevice, DecodeAroundTilesAndPages) {
  DecodeCase c(ShapeOf(GetParam(), 3, 8, 4, 8, 16), {1, 70, 200}, {{0, 0}, {1, 69}, {2, 31}, {2, 32}, {2, 63}, {2, 64}, {2, 199}});
  CheckDecode(c, 2048);
}

TEST_P(MlaOnADevice, DecodeInTheBundledCheckpointsShape) {
  DecodeCase c(ShapeOf(GetParam(), 8, 32, 16, 32, 64), {130}, {{0, 129}, {0, 5}});
  CheckDecode(c, 2048);
}

TEST_P(MlaOnADevice, DecodeOfTheFamilysWidths) {
  DecodeCase c(ShapeOf(GetParam(), 17, 128, 64, 128, 512), {40}, {{0, 39}});
  CheckDecode(c, 2048);
}

TEST_P(MlaOnADevice, DecodeMergesSegments) {
  DecodeCase c(ShapeOf(GetParam(), 2, 8, 4, 8, 16), {4110}, {{0, 2047}, {0, 2048}, {0, 4109}, {0, 100}});
  CheckDecode(c, 4110);
}

// Whether a row's segments are merged from partials or finished at once, with room for as many segments as others need.
TEST(MlaDecodeOnADevice, RoomForOthersSegmentsChangesNothing) {
  const MlaShape shape = ShapeOf(DType::kBF16, 2, 8, 4, 8, 16);
  DecodeCase c(shape, {300}, {{0, 299}});
  DeviceRig rig(1);
  TestMatrix one(DType::kBF16, 2, 32), many(DType::kBF16, 2, 32);
  c.RunOn(rig, one, 300);
  c.RunOn(rig, many, 9000);
  EXPECT_TRUE(SameBytes(one.bytes(), many.bytes()));
}

TEST(MlaDecodeOnADevice, RowsAreIndependent) {
  const MlaShape shape = ShapeOf(DType::kBF16, 2, 8, 4, 8, 16);
  const std::vector<DecodeRow> pool = {{0, 0}, {0, 33}, {1, 90}, {1, 91}, {0, 64}};
  DecodeCase all(shape, {70, 92}, pool);
  ExpectRowsIndependent(5, [&](DeviceRig& rig, const std::vector<int32_t>& picks) {
    std::vector<DecodeRow> rows;
    for (int32_t pick : picks) rows.push_back(pool[pick]);
    DecodeCase c(shape, {70, 92}, rows);
    for (size_t i = 0; i < picks.size(); ++i) {
      std::memcpy(c.qa.view().Row(static_cast<int64_t>(i) + 1), all.qa.view().Row(picks[i] + 1), 2 * 2 * 16);
      std::memcpy(c.q_rope.view().Row(static_cast<int64_t>(i) + 1), all.q_rope.view().Row(picks[i] + 1), 2 * 2 * 4);
    }
    TestMatrix z(DType::kBF16, static_cast<int64_t>(picks.size()) + 1, 32);
    c.RunOn(rig, z, 2048);
    std::vector<std::vector<uint8_t>> found;
    for (size_t i = 0; i < picks.size(); ++i) found.push_back(RowBytes(z, z.view(), static_cast<int64_t>(i) + 1));
    return found;
  });
}

// --- the naive form ---

struct PrefillCase {
  PrefillCase(const MlaShape& s, int64_t keys)
      : shape(s), sequence(s.pages, 50, keys), random(37),
        kv_b(s.pages.dtype == DType::kBF16 ? DType::kF8E4M3 : DType::kF32, s.heads * (s.nope_dim + s.value_dim), s.pages.latent_dim, random),
        q_nope(s.pages.dtype, keys, s.heads * s.nope_dim), q_rope(s.pages.dtype, keys, s.heads * s.pages.rope_dim) {
    q_nope.FillNormal(random, 0.5f);
    q_rope.FillNormal(random, 0.5f);
  }
  // Row p of the matrices is position p.
  void RunOnCpu(TestMatrix& out, int32_t first, int32_t count) {
    std::vector<std::unique_ptr<TestPacked>> packed;
    std::vector<PackedMatrix> uk, uv;
    for (int64_t head = 0; head < shape.heads; ++head) {
      PackSource source = kv_b.Source();
      source.row0 = head * (shape.nope_dim + shape.value_dim), source.rows = shape.nope_dim;
      uk.push_back(packed.emplace_back(std::make_unique<TestPacked>(source))->matrix);
      source.row0 += shape.nope_dim, source.rows = shape.value_dim;
      uv.push_back(packed.emplace_back(std::make_unique<TestPacked>(source))->matrix);
    }
    std::vector<MlaRow> rows;
    for (int32_t row = first; row < first + count; ++row) rows.push_back({sequence.table.data(), row, row});
    HugeBuffer scratch(MlaPrefillScratchBytes(shape, count, 1));
    ATOLL_EXPECT_OK(MlaPrefill(Context{}, {.shape = shape, .layer = 1, .rows = rows, .q_nope = q_nope.view(), .q_rope = q_rope.view(), .uk = uk, .uv = uv,
                                           .out = out.view(), .rows_max = count, .scratch = scratch.span()}));
  }
  // Runs of these lengths, one after the other from position `first` on.
  void RunOn(DeviceRig& rig, TestMatrix& out, int32_t first, const std::vector<int32_t>& lengths) {
    const PackSource source = kv_b.Source();
    std::vector<DevicePrefillRun> runs;
    std::byte* const* const table = sequence.On(rig);
    int32_t longest = 0;
    for (int32_t length : lengths) {
      runs.push_back({table, first, first, length});
      first += length;
      longest = std::max(longest, length);
    }
    DeviceCopy nope(rig, q_nope), rope(rig, q_rope), to(rig, out);
    const auto scratch = rig.Room<std::byte>(MlaPrefillDeviceScratchBytes(shape, longest));
    ATOLL_EXPECT_OK(MlaPrefill(rig.stream(), {.shape = shape, .layer = 1, .runs = runs, .q_nope = nope.view(), .q_rope = rope.view(),
                                              .kv_b = UploadWeights(rig, std::span(&source, 1)), .out = to.view(), .scratch = scratch}));
    to.Fetch();
  }
  MlaShape shape;
  Sequence sequence;
  std::mt19937 random;
  TestWeight kv_b;
  TestMatrix q_nope, q_rope;
};

void CheckPrefill(PrefillCase& c, int32_t first, const std::vector<int32_t>& lengths) {
  const int32_t count = std::accumulate(lengths.begin(), lengths.end(), 0);
  const int64_t rows = c.q_nope.view().rows, width = c.shape.heads * c.shape.value_dim;
  TestMatrix expected(c.shape.pages.dtype, rows, width), found(c.shape.pages.dtype, rows, width);
  c.RunOnCpu(expected, first, count);
  UnderSchedules([&](DeviceRig& rig) {
    TestMatrix out(c.shape.pages.dtype, rows, width);
    c.RunOn(rig, out, first, lengths);
    std::memcpy(found.view().data, out.bytes().data(), out.bytes().size());
    return out.bytes();
  });
  EXPECT_TRUE(found.PadsUntouched());
  std::vector<int32_t> indices(count);
  std::iota(indices.begin(), indices.end(), first);
  ExpectRowsNear(found, expected, indices);
}

TEST_P(MlaOnADevice, PrefillAroundTiles) {
  PrefillCase c(ShapeOf(GetParam(), 3, 8, 4, 6, 16), 67);
  CheckPrefill(c, 0, {67});
  CheckPrefill(c, 30, {1, 16, 17});
}

TEST_P(MlaOnADevice, PrefillInTheBundledCheckpointsShape) {
  PrefillCase c(ShapeOf(GetParam(), 8, 32, 16, 32, 64), 40);
  CheckPrefill(c, 0, {40});
}

TEST_P(MlaOnADevice, PrefillMergesSegments) {
  PrefillCase c(ShapeOf(GetParam(), 1, 8, 4, 8, 16), 4100);
  CheckPrefill(c, 4090, {10});   // three segments
}

// Promise P1: however a prompt is cut into chunks, and whatever stands in positions that a row does not see.
TEST(MlaPrefillOnADevice, ChunksDoNotShowInTheBits) {
  const MlaShape shape = ShapeOf(DType::kBF16, 2, 8, 4, 8, 16);
  PrefillCase c(shape, 2060);
  DeviceRig rig(2);
  TestMatrix whole(DType::kBF16, 2060, 16), cut(DType::kBF16, 2060, 16);
  c.RunOn(rig, whole, 2030, {30});
  c.RunOn(rig, cut, 2030, {1, 2, 17, 10});
  EXPECT_TRUE(SameBytes(whole.bytes(), cut.bytes()));
  PrefillCase poisoned(shape, 2060);
  for (int64_t i = 0; i < shape.pages.RowElements(); ++i) poisoned.sequence.Set(shape.pages, 2050, i, NAN);
  TestMatrix beside(DType::kBF16, 2060, 16);
  poisoned.RunOn(rig, beside, 2030, {30});
  for (int64_t row = 2030; row < 2050; ++row) EXPECT_EQ(RowBytes(beside, beside.view(), row), RowBytes(whole, whole.view(), row)) << row;
  EXPECT_TRUE(std::isnan(beside.Get(2050, 0)));
}

}  // namespace
}  // namespace atoll::kernels::testing
