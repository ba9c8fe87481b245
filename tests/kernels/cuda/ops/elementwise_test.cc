// RmsNorm, SwiGlu, Embedding and Combine on the emulated device, against the CPU's reference.

#include "device_rig.h"
#include "kernels/combine/combine_cuda.h"
#include "kernels/embedding/embedding_cuda.h"
#include "kernels/rms_norm/rms_norm_cuda.h"
#include "kernels/swiglu/swiglu_cuda.h"

namespace atoll::kernels::testing {
namespace {

constexpr float kBf16Ulp = 1.0f / 128;   // relative: one step of bfloat16
constexpr float kNormTolerance = 1e-6f;  // relative: another order of the sum of squares

struct Width {
  int64_t rows, cols;
};
constexpr Width kWidths[] = {{1, 1}, {3, 7}, {2, 96}, {4, 256}, {5, 257}, {2, 1536}};

class Elementwise : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, Elementwise, ::testing::Values(DType::kF32, DType::kBF16), [](const auto& info) { return std::string(DTypeName(info.param)); });

TEST_P(Elementwise, RmsNormIsTheReferencesWithinTheOrderOfItsSum) {
  for (const Width& width : kWidths) {
    std::mt19937 random(3);
    TestMatrix x(DType::kF32, width.rows, width.cols), expected(GetParam(), width.rows, width.cols);
    x.FillNormal(random);
    const std::vector<float> weight = NormalVector(random, width.cols, 0.2f, 1);
    ATOLL_EXPECT_OK(RmsNorm(Context{}, x.view(), weight, 1e-6f, expected.view()));
    TestMatrix found(GetParam(), width.rows, width.cols);
    UnderSchedules([&](DeviceRig& rig) {
      DeviceCopy from(rig, x), to(rig, found);
      ATOLL_EXPECT_OK(RmsNorm(rig.stream(), from.view(), rig.Upload(weight), 1e-6f, to.view()));
      to.Fetch();
      return found.bytes();
    });
    EXPECT_TRUE(found.PadsUntouched());
    ExpectNear(found, expected, GetParam() == DType::kBF16 ? kBf16Ulp : kNormTolerance, 0);
  }
}

TEST(RmsNormOnADevice, RowsAreIndependent) {
  std::mt19937 random(5);
  TestMatrix x(DType::kF32, 9, 300);
  x.FillNormal(random);
  const std::vector<float> weight = NormalVector(random, 300);
  ExpectRowsIndependent(9, [&](DeviceRig& rig, const std::vector<int32_t>& picks) {
    TestMatrix batch(DType::kF32, static_cast<int64_t>(picks.size()), 300), out(DType::kF32, static_cast<int64_t>(picks.size()), 300);
    for (size_t i = 0; i < picks.size(); ++i) std::copy_n(x.view().RowAs<float>(picks[i]), 300, batch.view().RowAs<float>(static_cast<int64_t>(i)));
    DeviceCopy from(rig, batch), to(rig, out);
    ATOLL_EXPECT_OK(RmsNorm(rig.stream(), from.view(), rig.Upload(weight), 1e-6f, to.view()));
    to.Fetch();
    std::vector<std::vector<uint8_t>> rows;
    for (size_t i = 0; i < picks.size(); ++i) rows.push_back(RowBytes(out, out.view(), static_cast<int64_t>(i)));
    return rows;
  });
}

TEST_P(Elementwise, SwiGluHasTheReferencesBits) {
  for (const Width& width : kWidths) {
    std::mt19937 random(7);
    TestMatrix gate(DType::kF32, width.rows, width.cols), up(DType::kF32, width.rows, width.cols), expected(GetParam(), width.rows, width.cols);
    gate.FillNormal(random, 5);
    up.FillNormal(random);
    if (width.cols > 5) gate.Set(0, 2, 100), gate.Set(0, 3, -100), gate.Set(0, 4, 0), up.Set(0, 5, INFINITY);
    ATOLL_EXPECT_OK(SwiGlu(Context{}, gate.view(), up.view(), expected.view()));
    const std::vector<uint8_t> found = UnderSchedules([&](DeviceRig& rig) {
      TestMatrix out(GetParam(), width.rows, width.cols);
      DeviceCopy g(rig, gate), u(rig, up), to(rig, out);
      ATOLL_EXPECT_OK(SwiGlu(rig.stream(), g.view(), u.view(), to.view()));
      to.Fetch();
      return out.bytes();
    });
    EXPECT_TRUE(SameBytes(found, expected.bytes()));
  }
}

TEST_P(Elementwise, EmbeddingIsExact) {
  std::mt19937 random(9);
  TestMatrix table(GetParam(), 11, 70), expected(DType::kF32, 4, 70);
  table.FillNormal(random);
  const std::vector<int32_t> tokens = {10, 0, 3, 3};
  ATOLL_EXPECT_OK(Embedding(Context{}, table.view(), tokens, expected.view()));
  const std::vector<uint8_t> found = UnderSchedules([&](DeviceRig& rig) {
    TestMatrix out(DType::kF32, 4, 70);
    DeviceCopy from(rig, table), to(rig, out);
    ATOLL_EXPECT_OK(Embedding(rig.stream(), from.view(), rig.Upload(tokens), to.view()));
    to.Fetch();
    return out.bytes();
  });
  EXPECT_TRUE(SameBytes(found, expected.bytes()));
}

TEST(EmbeddingOnADevice, ATokenOutsideTheTableBecomesNan) {
  std::mt19937 random(9);
  TestMatrix table(DType::kBF16, 5, 8), out(DType::kF32, 3, 8);
  table.FillNormal(random);
  DeviceRig rig(2);
  DeviceCopy from(rig, table), to(rig, out);
  ATOLL_EXPECT_OK(Embedding(rig.stream(), from.view(), rig.Upload(std::vector<int32_t>{-1, 4, 5}), to.view()));
  to.Fetch();
  EXPECT_TRUE(std::isnan(out.Get(0, 0)) && std::isnan(out.Get(2, 7)));
  EXPECT_EQ(out.Get(1, 3), table.Get(4, 3));
}

struct CombineCase {
  CombineCase(DType dtype, int64_t rows, int64_t slots, int64_t width)
      : experts(dtype, rows * slots, width, 2), shared(DType::kF32, rows, width), residual(DType::kF32, rows, width), rows(rows), slots(slots) {
    std::mt19937 random(13);
    experts.FillNormal(random);
    shared.FillNormal(random);
    residual.FillNormal(random);
    weights = NormalVector(random, rows * slots);
  }
  // The addresses of the result rows in `matrix`, last pair first, so that rows are not in order.
  std::vector<const void*> RowsIn(MatrixView matrix) const {
    std::vector<const void*> addresses;
    for (int64_t i = rows * slots - 1; i >= 0; --i) addresses.push_back(matrix.Row(i));
    return addresses;
  }
  TestMatrix experts, shared, residual;
  std::vector<float> weights;
  int64_t rows, slots;
};

TEST_P(Elementwise, CombineHasTheReferencesBits) {
  for (bool with_shared : {true, false}) {
    for (const Width& width : kWidths) {
      CombineCase c(GetParam(), width.rows, 3, width.cols);
      if (width.rows > 1) c.experts.Set(4, width.cols - 1, NAN);
      std::vector<uint8_t> expected_flags(width.rows, 9);
      CombineCase cpu(GetParam(), width.rows, 3, width.cols);
      const std::vector<const void*> host_rows = c.RowsIn(c.experts.view());
      ATOLL_EXPECT_OK(Combine(Context{}, {.slots = 3, .expert_rows = host_rows, .expert_dtype = GetParam(), .weights = c.weights,
                                          .shared = with_shared ? ConstMatrixView(c.shared.view()) : ConstMatrixView{},
                                          .residual = cpu.residual.view(), .non_finite = expected_flags}));
      const std::vector<uint8_t> found = UnderSchedules([&](DeviceRig& rig) {
        CombineCase out(GetParam(), width.rows, 3, width.cols);
        DeviceCopy experts(rig, c.experts), shared(rig, c.shared), residual(rig, out.residual);
        const std::span<uint8_t> flags = rig.Room<uint8_t>(width.rows);
        const std::span<const void* const> rows = rig.Upload(out.RowsIn(experts.view()));
        ATOLL_EXPECT_OK(Combine(rig.stream(), {.slots = 3, .expert_rows = rows, .expert_dtype = GetParam(), .weights = rig.Upload(c.weights),
                                               .shared = with_shared ? ConstMatrixView(shared.view()) : ConstMatrixView{},
                                               .residual = residual.view(), .non_finite = flags}));
        residual.Fetch();
        EXPECT_EQ(rig.Download(flags), expected_flags);
        return out.residual.bytes();
      });
      EXPECT_TRUE(SameBytes(found, cpu.residual.bytes()));
    }
  }
}

TEST(CombineOnADevice, AMissingExpertRowIsNotFinite) {
  CombineCase c(DType::kBF16, 2, 2, 16);
  DeviceRig rig(1);
  DeviceCopy experts(rig, c.experts), residual(rig, c.residual);
  std::vector<const void*> addresses = c.RowsIn(experts.view());
  addresses[3] = nullptr;
  const std::span<uint8_t> flags = rig.Room<uint8_t>(2);
  ATOLL_EXPECT_OK(Combine(rig.stream(), {.slots = 2, .expert_rows = rig.Upload(addresses), .weights = rig.Upload(c.weights), .residual = residual.view(), .non_finite = flags}));
  EXPECT_EQ(rig.Download(flags), (std::vector<uint8_t>{0, 1}));
}

TEST(OpsOnADevice, ShapesThatDoNotFitAreErrors) {
  DeviceRig rig(0);
  TestMatrix x(DType::kF32, 2, 8), out(DType::kF32, 2, 9);
  DeviceCopy from(rig, x), to(rig, out);
  const std::vector<float> weight(8, 1.0f);
  EXPECT_EQ(RmsNorm(rig.stream(), from.view(), rig.Upload(weight), 1e-6f, to.view()).code, KernelErrorCode::kInvalidShape);
  EXPECT_EQ(SwiGlu(rig.stream(), from.view(), from.view(), to.view()).code, KernelErrorCode::kInvalidShape);
}

TEST(OpsOnADevice, AHostAddressIsRefused) {
  DeviceRig rig(0);
  TestMatrix x(DType::kF32, 2, 8), out(DType::kF32, 2, 8);
  DeviceCopy to(rig, out);
  const std::vector<float> weight(8, 1.0f);
  const KernelError error = RmsNorm(rig.stream(), x.view(), rig.Upload(weight), 1e-6f, to.view());
  EXPECT_FALSE(error.ok());
  EXPECT_NE(error.text.find("RmsNorm's x"), std::string::npos) << error.text;
}

}  // namespace
}  // namespace atoll::kernels::testing
