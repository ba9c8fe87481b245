#include "kernels/linear/linear_cuda.h"

#include "device_weight.h"

namespace atoll::kernels::testing {
namespace {

struct Part {
  int64_t row0, col0;
  bool transposed;
};

struct LinearCase {
  DType weight = DType::kF8E4M3, x = DType::kBF16, y = DType::kF32;
  int64_t rows = 1, outputs = 1, inputs = 1;
  Part part = {0, 0, false};
  LinearMode mode = LinearMode::kStore;
  int64_t pad = 3;   // of x, elements
};

struct LinearData {
  explicit LinearData(const LinearCase& c)
      : random(17), weight(c.weight, c.part.row0 + (c.part.transposed ? c.inputs : c.outputs), c.part.col0 + (c.part.transposed ? c.outputs : c.inputs), random),
        x(c.x, c.rows, c.inputs, c.pad), y(c.y, c.rows, c.outputs) {
    x.FillNormal(random);
    if (c.mode == LinearMode::kAdd) y.FillNormal(random);
    source = weight.Source();
    source.row0 = c.part.row0, source.rows = weight.matrix.rows() - c.part.row0;
    source.col0 = c.part.col0, source.cols = weight.matrix.cols() - c.part.col0;
    source.transposed = c.part.transposed;
  }
  double SumOfSizes(int64_t row, int64_t output) {
    double sum = 0;
    for (int64_t k = 0; k < x.view().cols; ++k) {
      const int64_t r = source.row0 + (source.transposed ? k : output), c = source.col0 + (source.transposed ? output : k);
      sum += std::abs(double{weight.matrix.Get(r, c)} * weight.Scale(r, c) * x.Get(row, k));
    }
    return sum;
  }
  std::mt19937 random;
  TestWeight weight;
  TestMatrix x, y;
  PackSource source;
};

void Check(const LinearCase& c) {
  LinearData cpu(c);
  const TestPacked packed(cpu.source);
  TestMatrix found(c.y, c.rows, c.outputs);
  UnderSchedules([&](DeviceRig& rig) {
    LinearData data(c);
    const DeviceWeights weights = UploadWeights(rig, std::span(&data.source, 1));
    DeviceCopy x(rig, data.x), y(rig, data.y);
    ATOLL_EXPECT_OK(Linear(rig.stream(), weights, x.view(), y.view(), c.mode));
    y.Fetch();
    std::memcpy(found.view().data, data.y.bytes().data(), data.y.bytes().size());
    return data.y.bytes();
  });
  ATOLL_EXPECT_OK(Linear(Context{}, packed.matrix, cpu.x.view(), cpu.y.view(), c.mode));
  EXPECT_TRUE(found.PadsUntouched());
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t output = 0; output < c.outputs; ++output) {
      const float expected = cpu.y.Get(row, output);
      ASSERT_NEAR(found.Get(row, output), expected, ProductTolerance(cpu.SumOfSizes(row, output), expected, c.y))
          << "row " << row << ", output " << output << " of " << c.outputs << " x " << c.inputs;
    }
  }
}

class LinearOnADevice : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Weights, LinearOnADevice, ::testing::Values(DType::kF8E4M3, DType::kBF16, DType::kF32),
                         [](const auto& info) { return std::string(DTypeName(info.param)); });

struct Extent {
  int64_t rows, outputs, inputs;
};

TEST_P(LinearOnADevice, AroundEveryTile) {
  for (const Extent& e : {Extent{1, 1, 1}, {1, 16, 128}, {2, 15, 127}, {3, 17, 130}, {8, 33, 512}, {9, 40, 516}, {2, 5, 1027}}) {
    for (DType x : {DType::kBF16, DType::kF32}) Check({.weight = GetParam(), .x = x, .rows = e.rows, .outputs = e.outputs, .inputs = e.inputs});
  }
}

TEST_P(LinearOnADevice, RoundsOrAddsTheFinishedProduct) {
  Check({.weight = GetParam(), .y = DType::kBF16, .rows = 3, .outputs = 20, .inputs = 140});
  Check({.weight = GetParam(), .rows = 3, .outputs = 20, .inputs = 140, .mode = LinearMode::kAdd});
}

TEST_P(LinearOnADevice, ShapesOfTheBundledCheckpoint) {
  for (const Extent& e : {Extent{5, 96, 256}, {5, 80, 256}, {2, 384, 96}, {2, 256, 256}, {1, 512, 256}}) {
    Check({.weight = GetParam(), .rows = e.rows, .outputs = e.outputs, .inputs = e.inputs});
  }
}

// Tiles of the tensor cores, for weights of few, more and many outputs: 1, 2 and 4 warps along them.
TEST_P(LinearOnADevice, AroundEveryTensorTile) {
  if (GetParam() == DType::kF32) return;   // they do not go there
  for (const Extent& e : {Extent{3, 30, 1100}, {17, 70, 2050}, {16, 4224, 24}, {18, 4230, 40}, {2, 8448, 16}, {20, 8450, 40}}) {
    Check({.weight = GetParam(), .rows = e.rows, .outputs = e.outputs, .inputs = e.inputs, .pad = 8 - e.inputs % 8});
  }
}

// How x lies in memory decides how it is fetched, and nothing else; what follows a row's last input is not read.
TEST_P(LinearOnADevice, AlignmentOfRowsDoesNotShowInTheBits) {
  const auto run = [&](int64_t inputs, int64_t pad) {
    LinearData data({.weight = GetParam(), .rows = 3, .outputs = 20, .inputs = inputs, .pad = pad});
    DeviceRig rig(1);
    DeviceCopy x(rig, data.x), y(rig, data.y);
    ATOLL_EXPECT_OK(Linear(rig.stream(), UploadWeights(rig, std::span(&data.source, 1)), x.view(), y.view()));
    y.Fetch();
    return data.y.bytes();
  };
  EXPECT_TRUE(SameBytes(run(264, 8), run(264, 3)));
  EXPECT_TRUE(SameBytes(run(261, 3), run(261, 5)));
}

// Parts that begin inside of a scale block, and transposes.
TEST_P(LinearOnADevice, PartsAndTransposes) {
  for (const Part& part : {Part{64, 0, false}, {0, 32, false}, {96, 4, true}, {64, 128, true}, {3, 8, false}}) {
    if (part.transposed || part.col0 % 4 == 0) Check({.weight = GetParam(), .rows = 2, .outputs = 70, .inputs = 200, .part = part});
  }
}

TEST(DeviceWeightsOfHeads, EveryHeadTakesItsOwnColumns) {
  constexpr int64_t kHeads = 3, kNope = 32, kLatent = 64, kAll = 64;
  std::mt19937 random(3);
  TestWeight kv_b(DType::kF8E4M3, kHeads * kAll, kLatent, random);
  std::vector<PackSource> absorb(kHeads, kv_b.Source());
  for (int64_t head = 0; head < kHeads; ++head) absorb[head].row0 = head * kAll, absorb[head].rows = kNope, absorb[head].transposed = true;
  TestMatrix q(DType::kBF16, 5, kHeads * kNope), qa(DType::kF32, 5, kHeads * kLatent), z(DType::kBF16, 5, kHeads * kLatent), out(DType::kF32, 5, kHeads * (kAll - kNope));
  q.FillNormal(random);
  z.FillNormal(random);
  UnderSchedules([&](DeviceRig& rig) {
    const PackSource whole = kv_b.Source();
    const DeviceWeights uk = UploadWeights(rig, absorb), uv = HeadsOf(UploadWeights(rig, std::span(&whole, 1)), kHeads, kNope, kAll - kNope);
    DeviceCopy from(rig, q), to(rig, qa), latent(rig, z), attended(rig, out);
    ATOLL_EXPECT_OK(Linear(rig.stream(), uk, from.view(), to.view()));
    ATOLL_EXPECT_OK(Linear(rig.stream(), uv, latent.view(), attended.view()));
    to.Fetch();
    attended.Fetch();
    return qa.bytes();
  });
  const auto weight = [&](int64_t row, int64_t col) { return double{kv_b.matrix.Get(row, col)} * kv_b.Scale(row, col); };
  for (int64_t row = 0; row < 5; ++row) {
    for (int64_t head = 0; head < kHeads; ++head) {
      for (int64_t o = 0; o < kLatent; ++o) {
        double sum = 0, sizes = 0;
        for (int64_t k = 0; k < kNope; ++k) sum += weight(head * kAll + k, o) * q.Get(row, head * kNope + k), sizes += std::abs(weight(head * kAll + k, o) * q.Get(row, head * kNope + k));
        ASSERT_NEAR(qa.Get(row, head * kLatent + o), sum, 2e-6 * sizes);
      }
      for (int64_t o = 0; o < kAll - kNope; ++o) {
        double sum = 0, sizes = 0;
        for (int64_t k = 0; k < kLatent; ++k) sum += weight(head * kAll + kNope + o, k) * z.Get(row, head * kLatent + k), sizes += std::abs(weight(head * kAll + kNope + o, k) * z.Get(row, head * kLatent + k));
        ASSERT_NEAR(out.Get(row, head * (kAll - kNope) + o), sum, 2e-6 * sizes);
      }
    }
  }
}

TEST_P(LinearOnADevice, RowsAreIndependent) {
  LinearData data({.weight = GetParam(), .rows = 7, .outputs = 24, .inputs = 260});
  data.x.Set(3, 5, NAN);   // a neighbour's NaN stays there
  ExpectRowsIndependent(7, [&](DeviceRig& rig, const std::vector<int32_t>& picks) {
    const int64_t rows = static_cast<int64_t>(picks.size());
    TestMatrix x(DType::kBF16, rows, 260), y(DType::kF32, rows, 24);
    for (int64_t i = 0; i < rows; ++i) std::copy_n(data.x.view().Row(picks[i]), 520, x.view().Row(i));
    DeviceCopy from(rig, x), to(rig, y);
    ATOLL_EXPECT_OK(Linear(rig.stream(), UploadWeights(rig, std::span(&data.source, 1)), from.view(), to.view()));
    to.Fetch();
    std::vector<std::vector<uint8_t>> found;
    for (int64_t i = 0; i < rows; ++i) found.push_back(RowBytes(y, y.view(), i));
    return found;
  });
}

TEST(DeviceWeightsErrors, NanAndImpossibleParts) {
  std::mt19937 random(3);
  TestWeight weight(DType::kF8E4M3, 8, 16, random);
  PackSource source = weight.Source();
  DeviceWeights described;
  ATOLL_EXPECT_OK(DescribeDeviceWeights(std::span(&source, 1), &described));
  std::vector<std::byte> image(described.Bytes());
  *static_cast<uint8_t*>(weight.matrix.view().data) = 0xFF;
  const KernelError nan = FillDeviceWeights({}, std::span(&source, 1), described, image);
  EXPECT_EQ(nan.code, KernelErrorCode::kInvalidValue);
  EXPECT_NE(nan.text.find("row 0, column 0"), std::string::npos) << nan.text;
  source.col0 = 2, source.cols = 14;
  EXPECT_EQ(DescribeDeviceWeights(std::span(&source, 1), &described).code, KernelErrorCode::kUnsupported);
  source.cols = 100;
  EXPECT_EQ(DescribeDeviceWeights(std::span(&source, 1), &described).code, KernelErrorCode::kInvalidShape);
  EXPECT_EQ(DescribeDeviceWeights({}, &described).code, KernelErrorCode::kInvalidShape);
}

}  // namespace
}  // namespace atoll::kernels::testing
