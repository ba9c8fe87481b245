#include "model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

namespace atoll::model {
namespace {

const std::string kTales = ATOLL_SOURCE_DIR "/checkpoints/tales";
const std::string kSharedModels = ATOLL_SOURCE_DIR "/../shared/models";

TEST(Checkpoint, OpensTheBundledOne) {
  const auto checkpoint = Checkpoint::Open(kTales);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_TRUE((*checkpoint)->has_mtp());
  EXPECT_EQ((*checkpoint)->generation().temperature, 0.8);
  EXPECT_EQ((*checkpoint)->file_count(), 1u);
  EXPECT_EQ((*checkpoint)->Find("model.layers.6.embed_tokens.weight"), nullptr);
  EXPECT_NE((*checkpoint)->Find("model.layers.6.enorm.weight"), nullptr);
}

// The file has no value that a load refuses.
TEST(Checkpoint, ReadsEveryTensorOfTheBundledOne) {
  const auto checkpoint = Checkpoint::Open(kTales);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  for (const TensorEntry& entry : (*checkpoint)->entries()) {
    if (!entry.present() || entry.spec->kind == TensorKind::kScale) continue;
    if (entry.spec->cols == 0) {
      const auto values = (*checkpoint)->ReadVector(entry.spec->name);
      ASSERT_TRUE(values.ok()) << values.status();
      EXPECT_EQ(static_cast<int64_t>(values->size()), entry.spec->rows);
      continue;
    }
    const auto matrix = (*checkpoint)->ReadMatrix(entry.spec->name);
    ASSERT_TRUE(matrix.ok()) << matrix.status();
    EXPECT_EQ(matrix->rows, entry.spec->rows);
    const bool quantised = matrix->dtype == DType::kF8E4M3;
    EXPECT_EQ(static_cast<int64_t>(matrix->scales.size()),
              quantised ? ScaleBlocks(matrix->rows) * ScaleBlocks(matrix->cols) : 0);
  }
}

float Element(const HostMatrix& matrix, int64_t row, int64_t col) {
  const std::byte* data = matrix.data.get() + (row * matrix.cols + col) * DTypeBytes(matrix.dtype);
  if (matrix.dtype == DType::kBF16) return ToFloat(*reinterpret_cast<const BFloat16*>(data));
  return E4M3ToFloat(static_cast<uint8_t>(*data)) *
         matrix.scales[row / kScaleBlock * matrix.scale_cols() + col / kScaleBlock];
}

// One model in two formats: a scale at the wrong block would be far outside the rounding of e4m3.
TEST(Checkpoint, Bf16AndFp8OfTheSameModelAgree) {
  if (!std::filesystem::exists(kSharedModels)) GTEST_SKIP() << "no ../shared/models here";
  const auto bf16 = Checkpoint::Open(kSharedModels + "/tales-bf16");
  const auto fp8 = Checkpoint::Open(kSharedModels + "/tales-fp8");
  ASSERT_TRUE(bf16.ok()) << bf16.status();
  ASSERT_TRUE(fp8.ok()) << fp8.status();
  EXPECT_EQ((*bf16)->file_count(), 4u);
  EXPECT_NE((*bf16)->fingerprint(), (*fp8)->fingerprint());
  EXPECT_NE((*bf16)->Find("model.layers.6.embed_tokens.weight"), nullptr);
  for (const char* name : {"model.layers.0.self_attn.kv_b_proj.weight",
                           "model.layers.6.mlp.experts.31.down_proj.weight", "model.layers.0.mlp.down_proj.weight"}) {
    const auto a = (*bf16)->ReadMatrix(name), b = (*fp8)->ReadMatrix(name);
    ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
    double square = 0, error = 0;
    for (int64_t row = 0; row < a->rows; ++row) {
      for (int64_t col = 0; col < a->cols; ++col) {
        square += std::pow(Element(*a, row, col), 2);
        error += std::pow(Element(*a, row, col) - Element(*b, row, col), 2);
      }
    }
    EXPECT_LT(std::sqrt(error / square), 0.04) << name;
  }
}

TEST(Checkpoint, FingerprintIsStable) {
  const auto checkpoint = Checkpoint::Open(kTales);
  ASSERT_TRUE(checkpoint.ok());
  EXPECT_EQ((*checkpoint)->fingerprint(), (*Checkpoint::Open(kTales))->fingerprint());
  if (!std::filesystem::exists(kSharedModels)) GTEST_SKIP() << "no ../shared/models here";
  EXPECT_EQ((*checkpoint)->fingerprint(), (*Checkpoint::Open(kSharedModels + "/tales-fp8"))->fingerprint());
}

}  // namespace
}  // namespace atoll::model
