#include "node/packed_shard.h"

#include <gmock/gmock.h>

#include "base/check.h"

namespace atoll::node {
namespace {

using ::testing::HasSubstr;

class PackedShardTest : public ::testing::Test {
 protected:
  PackedShardTest() {
    auto checkpoint = model::Checkpoint::Open(ATOLL_SOURCE_DIR "/checkpoints/tales");
    ATOLL_CHECK(checkpoint.ok(), std::string(checkpoint.status().message()));
    checkpoint_ = *std::move(checkpoint);
  }

  // The weight with its scale, as the file has it.
  float Stored(const model::HostMatrix& matrix, int64_t row, int64_t col) {
    if (matrix.dtype == DType::kBF16) return ToFloat(reinterpret_cast<const BFloat16*>(matrix.data.get())[row * matrix.cols + col]);
    return E4M3ToFloat(static_cast<uint8_t>(matrix.data[row * matrix.cols + col])) *
           matrix.scales[row / 128 * matrix.scale_cols() + col / 128];
  }
  static float Packed(const kernels::PackedMatrix& matrix, int64_t output, int64_t input) {
    return kernels::PackedWeight(matrix, output, input) * kernels::PackedScale(matrix, output, input);
  }

  std::unique_ptr<model::Checkpoint> checkpoint_;
  const kernels::Context context_{kernels::Isa::kReference, nullptr};
};

TEST_F(PackedShardTest, PacksWholesRectanglesAndTransposes) {
  const std::string q_b = "model.layers.1.self_attn.q_b_proj.weight", kv_b = "model.layers.2.self_attn.kv_b_proj.weight";
  kernels::PackedMatrix whole, head, absorbed, embedding;
  const std::vector<PackItem> items{{q_b, {}, false, &whole},
                                    {kv_b, {.first_row = 160, .rows = 32}, false, &head},
                                    {kv_b, {.first_row = 128, .rows = 32}, true, &absorbed},
                                    {"lm_head.weight", {.rows = 100}, false, &embedding}};
  std::vector<model::LoadProgress> progress;
  auto shard = PackedShard::Load(*checkpoint_, items, context_, [&](const model::LoadProgress& p) { progress.push_back(p); });
  ASSERT_TRUE(shard.ok()) << shard.status();
  const PackedShard moved = *std::move(shard);
  EXPECT_GT(moved.bytes(), 0u);

  const auto q = checkpoint_->ReadMatrix(q_b), kv = checkpoint_->ReadMatrix(kv_b), lm = checkpoint_->ReadMatrix("lm_head.weight");
  ASSERT_TRUE(q.ok() && kv.ok() && lm.ok());
  EXPECT_EQ(whole.outputs, q->rows);
  for (int64_t row = 0; row < q->rows; row += 31)
    for (int64_t col = 0; col < q->cols; col += 7) EXPECT_EQ(Packed(whole, row, col), Stored(*q, row, col));
  EXPECT_EQ(head.outputs, 32);
  EXPECT_EQ(head.inputs, 64);
  EXPECT_EQ(absorbed.outputs, 64);
  EXPECT_EQ(absorbed.inputs, 32);
  for (int64_t row = 0; row < 32; row += 5) {
    for (int64_t col = 0; col < 64; col += 3) {
      EXPECT_EQ(Packed(head, row, col), Stored(*kv, 160 + row, col));
      EXPECT_EQ(Packed(absorbed, col, row), Stored(*kv, 128 + row, col));
    }
  }
  EXPECT_EQ(embedding.outputs, 100);
  EXPECT_EQ(Packed(embedding, 99, 255), Stored(*lm, 99, 255));

  ASSERT_EQ(progress.size(), 3u) << "a tensor that is cut twice is read once";
  EXPECT_EQ(progress.back().bytes_done, progress.back().bytes_total);
}

TEST_F(PackedShardTest, NamesTheTensorThatIsWrong) {
  kernels::PackedMatrix to;
  const auto load = [&](PackItem item) {
    return std::string(PackedShard::Load(*checkpoint_, std::vector<PackItem>{item}, context_, {}).status().message());
  };
  EXPECT_THAT(load({"model.layers.9.mlp.gate.weight", {}, false, &to}), HasSubstr("model.layers.9.mlp.gate.weight"));
  EXPECT_THAT(load({"model.norm.weight", {}, false, &to}), HasSubstr("vector"));
  EXPECT_THAT(load({"lm_head.weight", {.first_row = 4000, .rows = 97}, false, &to}), HasSubstr("lm_head.weight"));
  EXPECT_THAT(load({"lm_head.weight", {.first_row = 4096}, false, &to}), HasSubstr("lm_head.weight"));
}

}  // namespace
}  // namespace atoll::node
