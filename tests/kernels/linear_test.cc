#include "kernels/linear/linear.h"

#include <gtest/gtest.h>

#include "kernels/linear/panel_run.h"
#include "tests/kernels/linear_case.h"

namespace atoll::kernels {
namespace {

struct Types {
  DType weights, x, y;
  LinearMode mode = LinearMode::kStore;
};

std::vector<Types> AllTypes() {
  std::vector<Types> all;
  for (DType weights : {DType::kF8E4M3, DType::kBF16, DType::kF32}) {
    for (DType x : {DType::kBF16, DType::kF32}) {
      all.push_back({weights, x, DType::kF32});
      all.push_back({weights, x, DType::kBF16});
      all.push_back({weights, x, DType::kF32, LinearMode::kAdd});
    }
  }
  return all;
}

// Runs one source over `rows` random rows with every instruction set and compares whole buffers, guards included, bit for bit.
void ExpectExact(TestWeight& weight, const PackSource& source, int64_t rows, const Types& types, std::mt19937& random) {
  const TestPacked packed(source);
  TestMatrix x(types.x, rows, packed.matrix.inputs);
  x.Fill(random);
  TestMatrix before(types.y, rows, packed.matrix.outputs);
  if (types.mode == LinearMode::kAdd) before.Fill(random);
  TestMatrix expected = before;
  {
    FlushDenormals flush;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t o = 0; o < packed.matrix.outputs; ++o) PutResult(expected, r, o, ExpectedDot(weight, source, x, r, o), types.mode);
    }
  }
  for (Isa isa : HostIsas()) {
    TestMatrix y = before;
    const KernelError error = Linear({.isa = isa}, packed.matrix, x.view(), y.view(), types.mode);
    ASSERT_TRUE(error.ok()) << error.text;
    ASSERT_TRUE(y.bytes() == expected.bytes())
        << IsaName(isa) << " " << DTypeName(types.weights) << " x " << DTypeName(types.x) << " to " << DTypeName(types.y) << ", outputs "
        << packed.matrix.outputs << ", inputs " << packed.matrix.inputs << ", rows " << rows;
  }
}

void ExpectExact(int64_t outputs, int64_t inputs, int64_t rows, const Types& types) {
  std::mt19937 random(static_cast<uint32_t>(outputs * 1000003 + inputs * 1009 + rows));
  TestWeight weight(types.weights, outputs, inputs, random);
  ExpectExact(weight, weight.Source(), rows, types, random);
}

TEST(Linear, EveryShapeAroundTheTiles) {
  for (const Types& types : AllTypes()) {
    for (int64_t outputs : {0, 1, 15, 16, 17, 63, 64, 65, 130}) {
      for (int64_t inputs : {0, 1, 2, 3, 63, 64, 65, 127, 128, 129, 258}) {
        for (int64_t rows : {1, 7}) ExpectExact(outputs, inputs, rows, types);
      }
    }
  }
}

TEST(Linear, EveryNumberOfRowsAroundTheTiles) {
  for (const Types& types : AllTypes()) {
    for (int64_t rows : {0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 17, 64, 65, 127, 128, 129, 257}) ExpectExact(40, 67, rows, types);
  }
}

TEST(Linear, RectanglesAndTransposesOfScaledWeights) {
  for (DType dtype : {DType::kF8E4M3, DType::kBF16}) {
    std::mt19937 random(3);
    TestWeight weight(dtype, 300, 290, random);
    for (bool transposed : {false, true}) {
      for (int64_t row0 : {0, 32, 100, 128, 200}) {
        for (int64_t col0 : {0, 33, 64, 127, 160}) {
          PackSource source = weight.Source();
          source.transposed = transposed;
          source.row0 = row0, source.rows = row0 % 3 == 0 ? 300 - row0 : 70;
          source.col0 = col0, source.cols = col0 % 2 == 0 ? 290 - col0 : 97;
          for (int64_t rows : {1, 3, 9}) ExpectExact(weight, source, rows, {dtype, DType::kBF16, DType::kF32}, random);
        }
      }
    }
  }
}

TEST(Linear, AllCodesOfE4M3) {
  std::mt19937 random(5);
  TestWeight weight(DType::kF8E4M3, 254, 4, random);
  auto* const codes = static_cast<uint8_t*>(weight.matrix.view().data);
  for (int64_t r = 0; r < 254; ++r) {
    for (int64_t c = 0; c < 4; ++c) codes[r * weight.matrix.stride() + c] = static_cast<uint8_t>(r < 127 ? r : r + 1);
  }
  for (int64_t rows : {1, 5}) {
    for (DType x : {DType::kBF16, DType::kF32}) ExpectExact(weight, weight.Source(), rows, {DType::kF8E4M3, x, DType::kF32}, random);
  }
}

// Weights of 2^-7 and more, none of them rare (e4m3_packing.h), of 70 outputs and 256 inputs.
TestWeight CommonWeight(std::mt19937& random) {
  TestWeight weight(DType::kF8E4M3, 70, 256, random);
  for (int64_t r = 0; r < 70; ++r) {
    for (int64_t c = 0; c < 256; ++c) weight.matrix.Set(r, c, (random() % 2 ? 1.0f : -1.0f) * E4M3ToFloat(static_cast<uint8_t>(4 + random() % 123)));
  }
  return weight;
}

TEST(Linear, ARareWeightAmongCommonOnes) {
  std::mt19937 random(14);
  TestWeight weight = CommonWeight(random);
  int64_t number = 0;
  for (int64_t rows : {1, 3, 5, 12}) ExpectExact(weight, weight.Source(), rows, {DType::kF8E4M3, DType::kBF16, DType::kF32}, random);
  for (int64_t input : {0, 1, 2, 63, 64, 65, 126, 127, 128, 191, 192, 255}) {
    const int64_t output = number * 17 % 70;
    const float before = weight.matrix.Get(output, input);
    weight.matrix.Set(output, input, (number % 2 ? 1.0f : -1.0f) * 0.001953125f * static_cast<float>(number / 2 % 4));
    for (int64_t rows : {1, 3, 5, 12}) ExpectExact(weight, weight.Source(), rows, {DType::kF8E4M3, DType::kBF16, DType::kF32}, random);
    weight.matrix.Set(output, input, before);
    ++number;
  }
}

TEST(Linear, ResultsOfAnyFiniteSizeRoundAlike) {
  std::mt19937 random(6);
  TestWeight weight(DType::kF32, 64, 2, random);
  for (int64_t r = 0; r < 64; ++r) {
    for (int64_t c = 0; c < 2; ++c) weight.matrix.Set(r, c, std::bit_cast<float>((static_cast<uint32_t>(random()) & 0xFF7FFFFFu) ^ 0x20000000u));
  }
  for (int64_t rows : {1, 2, 6, 30}) ExpectExact(weight, weight.Source(), rows, {DType::kF32, DType::kBF16, DType::kBF16}, random);
}

// Where the host has VBMI, kAvx512 never takes this path.
TEST(Linear, TheFormWithoutVbmiGivesTheSameBits) {
  if (!HostSupports(Isa::kAvx512)) GTEST_SKIP() << "this host has no AVX-512";
  std::mt19937 random(12);
  TestWeight weight(DType::kF8E4M3, 50, 200, random);
  const TestPacked packed(weight.Source());
  FlushDenormals flush;
  for (DType x_dtype : {DType::kBF16, DType::kF32}) {
    for (int64_t rows : {1, 3, 40}) {
      TestMatrix x(x_dtype, rows, 200), y(DType::kF32, rows, 50), expected(DType::kF32, rows, 50);
      x.Fill(random);
      PanelReference(MakePanelRun(packed.matrix, 0, x.view(), nullptr, expected.view()));
      PanelAvx512(MakePanelRun(packed.matrix, 0, x.view(), nullptr, y.view()));
      EXPECT_TRUE(y.bytes() == expected.bytes()) << rows;
    }
  }
}

TEST(Linear, RowsCanBeGathered) {
  std::mt19937 random(13);
  TestWeight weight(DType::kBF16, 20, 34, random);
  const TestPacked packed(weight.Source());
  TestMatrix x(DType::kBF16, 9, 34), all(DType::kF32, 9, 20);
  x.Fill(random);
  ASSERT_TRUE(Linear({}, packed.matrix, x.view(), all.view()).ok());
  FlushDenormals flush;
  for (Isa isa : HostIsas()) {
    for (std::vector<int32_t> rows : {std::vector<int32_t>{4}, {8, 0, 8}, {1, 1, 2, 7, 6, 5, 4, 3}}) {
      TestMatrix y(DType::kF32, static_cast<int64_t>(rows.size()), 20);
      ChoosePanel(isa)(MakePanelRun(packed.matrix, 0, x.view(), rows.data(), y.view()));
      for (size_t r = 0; r < rows.size(); ++r) {
        for (int64_t o = 0; o < 20; ++o) ASSERT_EQ(y.Get(static_cast<int64_t>(r), o), all.Get(rows[r], o)) << IsaName(isa);
      }
    }
  }
}

TEST(LinearBatch, ManyTasksAndThreadsGiveTheBitsOfOneByOne) {
  std::mt19937 random(7);
  const int64_t rows_of[] = {0, 1, 200, 3, 0, 50, 1};
  std::vector<TestPacked> packed;
  std::vector<TestMatrix> x, expected;
  for (int64_t i = 0; i < 7; ++i) {
    TestWeight weight(i % 2 ? DType::kBF16 : DType::kF8E4M3, 30 + 50 * i, 20 + 40 * i, random);
    packed.emplace_back(weight.Source());
    x.emplace_back(DType::kBF16, rows_of[i], packed[i].matrix.inputs).Fill(random);
    expected.emplace_back(DType::kF32, rows_of[i], packed[i].matrix.outputs);
    for (int64_t r = 0; r < rows_of[i]; ++r) {
      ASSERT_TRUE(Linear({}, packed[i].matrix, x[i].view().Rows(r, 1), expected[i].view().Rows(r, 1)).ok());
    }
  }
  for (int threads : {1, 2, 5}) {
    ComputePool pool({.threads = threads});
    std::vector<TestMatrix> y;
    std::vector<LinearTask> tasks;
    for (int64_t i = 0; i < 7; ++i) y.emplace_back(DType::kF32, rows_of[i], packed[i].matrix.outputs);
    for (int64_t i = 0; i < 7; ++i) tasks.push_back({packed[i].matrix, x[i].view(), y[i].view()});
    ASSERT_TRUE(LinearBatch({.isa = DetectIsa(), .pool = &pool}, tasks).ok());
    for (int64_t i = 0; i < 7; ++i) EXPECT_TRUE(y[i].bytes() == expected[i].bytes()) << i << " with " << threads;
  }
}

TEST(LinearBatch, MoreTasksThanOneRegionHolds) {
  std::mt19937 random(8);
  TestWeight weight(DType::kBF16, 2, 4, random);
  const TestPacked packed(weight.Source());
  TestMatrix x(DType::kBF16, 1, 4), y(DType::kF32, 1300, 2), one(DType::kF32, 1, 2);
  x.Fill(random);
  std::vector<LinearTask> tasks;
  for (int64_t i = 0; i < 1300; ++i) tasks.push_back({packed.matrix, x.view(), y.view().Rows(i, 1)});
  ASSERT_TRUE(LinearBatch({.isa = DetectIsa()}, tasks).ok());
  ASSERT_TRUE(Linear({}, packed.matrix, x.view(), one.view()).ok());
  for (int64_t i = 0; i < 1300; ++i) EXPECT_EQ(y.Get(i, 1), one.Get(0, 1)) << i;
}

TEST(Linear, ShapesAndTypesThatDoNotFitAreErrors) {
  std::mt19937 random(9);
  TestWeight weight(DType::kBF16, 8, 6, random);
  const TestPacked packed(weight.Source());
  TestMatrix x(DType::kBF16, 2, 6), wide(DType::kBF16, 2, 7), codes(DType::kF8E4M3, 2, 6);
  TestMatrix y(DType::kF32, 2, 8), short_y(DType::kF32, 1, 8), rounded(DType::kBF16, 2, 8);
  EXPECT_EQ(Linear({}, packed.matrix, wide.view(), y.view()).code, KernelErrorCode::kInvalidShape);
  EXPECT_EQ(Linear({}, packed.matrix, x.view(), short_y.view()).code, KernelErrorCode::kInvalidShape);
  EXPECT_EQ(Linear({}, packed.matrix, codes.view(), y.view()).code, KernelErrorCode::kUnsupported);
  EXPECT_EQ(Linear({}, packed.matrix, x.view(), rounded.view(), LinearMode::kAdd).code, KernelErrorCode::kUnsupported);
  MatrixView overlapping = y.view();
  overlapping.stride = 7;
  EXPECT_EQ(Linear({}, packed.matrix, x.view(), overlapping).code, KernelErrorCode::kInvalidShape);
}

TEST(PackMatrix, KeepsEveryWeightAndScale) {
  std::mt19937 random(10);
  for (DType dtype : {DType::kF8E4M3, DType::kBF16, DType::kF32}) {
    TestWeight weight(dtype, 200, 270, random);
    PackSource source = weight.Source();
    source.row0 = 40, source.rows = 150, source.col0 = 65, source.cols = 201;
    const TestPacked packed(source);
    ComputePool pool({.threads = 3});
    HugeBuffer buffer(PackedBytes(source));
    PackedMatrix parallel;
    ASSERT_TRUE(PackMatrix({.pool = &pool}, source, buffer.span(), &parallel).ok());
    EXPECT_EQ(std::memcmp(buffer.data(), packed.buffer.data(), buffer.bytes()), 0);
    for (int64_t o = 0; o < 150; ++o) {
      for (int64_t k = 0; k < 201; ++k) {
        ASSERT_EQ(PackedWeight(packed.matrix, o, k), weight.matrix.Get(40 + o, 65 + k)) << o << " " << k;
        ASSERT_EQ(PackedScale(packed.matrix, o, k), weight.Scale(40 + o, 65 + k)) << o << " " << k;
      }
    }
  }
}

TEST(PackMatrix, MarksThePairsWithRareWeights) {
  std::mt19937 random(15);
  TestWeight weight = CommonWeight(random);
  weight.matrix.Set(3, 130, 0.0f);        // panel 0, block 1, pair 1
  weight.matrix.Set(69, 127, -0.005859375f);   // panel 1, block 0, pair 63
  weight.matrix.Set(5, 4, 0.0078125f);    // the smallest that is not rare
  const TestPacked packed(weight.Source());
  const auto rare = [&](int64_t panel, int64_t block) {
    return reinterpret_cast<const KBlockHead*>(packed.matrix.data + panel * packed.matrix.panel_bytes)[block].rare;
  };
  EXPECT_EQ(rare(0, 0), 0u);
  EXPECT_EQ(rare(0, 1), uint64_t{1} << 1);
  EXPECT_EQ(rare(1, 0), uint64_t{1} << 63);
  EXPECT_EQ(rare(1, 1), 0u);
}

TEST(PackMatrix, RefusesWhatItCannotHold) {
  std::mt19937 random(11);
  TestWeight weight(DType::kF8E4M3, 200, 140, random);
  PackSource source = weight.Source();
  HugeBuffer buffer(PackedBytes(source));
  PackedMatrix packed;
  EXPECT_EQ(PackMatrix({}, source, buffer.span().first(64), &packed).code, KernelErrorCode::kInvalidShape);
  source.cols = 1000;
  EXPECT_EQ(PackMatrix({}, source, buffer.span(), &packed).code, KernelErrorCode::kInvalidShape);
  EXPECT_EQ(PackedBytes(source), 0);
  source = weight.Source();
  source.rows = -1;
  EXPECT_EQ(PackMatrix({}, source, buffer.span(), &packed).code, KernelErrorCode::kInvalidShape);
  source = weight.Source();
  source.dtype = DType::kI32;
  EXPECT_EQ(PackMatrix({}, source, buffer.span(), &packed).code, KernelErrorCode::kUnsupported);
  static_cast<uint8_t*>(weight.matrix.view().data)[150 * weight.matrix.stride() + 131] = 0xFF;
  const KernelError error = PackMatrix({}, weight.Source(), buffer.span(), &packed);
  EXPECT_EQ(error.code, KernelErrorCode::kInvalidValue);
  EXPECT_NE(error.text.find("row 150, column 131"), std::string::npos) << error.text;
}

}  // namespace
}  // namespace atoll::kernels
