#include "model/make.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/checkpoint.h"
#include "model/inspect.h"
#include "tests/model/configs.h"
#include "tests/model/temp_dir.h"

namespace atoll::model {
namespace {

using testing::HasSubstr;

std::unique_ptr<Checkpoint> MakeAndOpen(MakeOptions options) {
  const absl::Status status = MakeCheckpoint(options);
  EXPECT_TRUE(status.ok()) << status;
  auto checkpoint = Checkpoint::Open(options.out_dir);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  return checkpoint.ok() ? *std::move(checkpoint) : nullptr;
}

void ExpectAllReadable(const Checkpoint& checkpoint) {
  for (const TensorEntry& entry : checkpoint.entries()) {
    if (!entry.present() || entry.spec->kind == TensorKind::kScale) continue;
    const absl::Status status = entry.spec->cols == 0 ? checkpoint.ReadVector(entry.spec->name).status()
                                                      : checkpoint.ReadMatrix(entry.spec->name).status();
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(Make, Fp8OpensAndReads) {
  TempDir dir;
  const auto checkpoint = MakeAndOpen({.config_json = kTinyConfig, .out_dir = dir.path(), .seed = 3});
  ASSERT_NE(checkpoint, nullptr);
  EXPECT_TRUE(checkpoint->has_mtp());
  EXPECT_EQ(checkpoint->file_count(), 1u);
  EXPECT_THAT(checkpoint->generation().eos_token_ids, testing::ElementsAre(1));
  ExpectAllReadable(*checkpoint);
}

TEST(Make, EveryFormatOpensAndReads) {
  const std::string bf16 = With(kTinyConfig, "\"quantization_config\"", "\"unused\"");
  const std::string power_of_two = With(kTinyConfig, "\"fmt\": \"e4m3\"", "\"scale_fmt\": \"ue8m0\"");
  const std::string plain_q = With(kTinyConfig, "\"q_lora_rank\": 24", "\"q_lora_rank\": null");
  const std::string tied = With(kTinyConfig, "\"vocab_size\"", "\"tie_word_embeddings\": true, \"vocab_size\"");
  for (const std::string& config : {bf16, power_of_two, plain_q, tied}) {
    TempDir dir;
    const auto checkpoint = MakeAndOpen({.config_json = config, .out_dir = dir.path(), .seed = 3});
    ASSERT_NE(checkpoint, nullptr);
    ExpectAllReadable(*checkpoint);
  }
}

TEST(Make, PowerOfTwoScalesAreThat) {
  TempDir dir;
  const auto checkpoint = MakeAndOpen(
      {.config_json = With(kTinyConfig, "\"fmt\": \"e4m3\"", "\"scale_fmt\": \"ue8m0\""), .out_dir = dir.path()});
  ASSERT_NE(checkpoint, nullptr);
  const HostMatrix matrix = *checkpoint->ReadMatrix("model.layers.0.mlp.down_proj.weight");
  for (float scale : matrix.scales) {
    int exponent = 0;
    EXPECT_EQ(std::frexp(scale, &exponent), 0.5f) << scale;
  }
}

// The same model, however it is cut; another one for another seed.
TEST(Make, ValuesDependOnSeedAndNameAlone) {
  TempDir whole, cut, other;
  const auto a = MakeAndOpen({.config_json = kTinyConfig, .out_dir = whole.path(), .seed = 3});
  const auto b = MakeAndOpen({.config_json = kTinyConfig, .out_dir = cut.path(), .seed = 3, .shard_bytes_max = 10000});
  const auto c = MakeAndOpen({.config_json = kTinyConfig, .out_dir = other.path(), .seed = 4});
  ASSERT_TRUE(a && b && c);
  EXPECT_GT(b->file_count(), 3u);
  EXPECT_EQ(a->fingerprint(), b->fingerprint());
  EXPECT_NE(a->fingerprint(), c->fingerprint());
  EXPECT_EQ(a->ReadVector("model.norm.weight").value(), b->ReadVector("model.norm.weight").value());
  ExpectAllReadable(*b);
}

// Row norms near 1: a normed row gives outputs near 1.
TEST(Make, WeightsAreScaledByFanIn) {
  TempDir dir;
  const auto checkpoint = MakeAndOpen({.config_json = kTinyConfig, .out_dir = dir.path(), .seed = 5});
  ASSERT_NE(checkpoint, nullptr);
  const HostMatrix matrix = *checkpoint->ReadMatrix("model.layers.0.mlp.gate_proj.weight");
  double square = 0;
  for (int64_t i = 0; i < matrix.rows * matrix.cols; ++i) {
    const int64_t row = i / matrix.cols, col = i % matrix.cols;
    square += std::pow(E4M3ToFloat(static_cast<uint8_t>(matrix.data[i])) *
                           matrix.scales[row / kScaleBlock * matrix.scale_cols() + col / kScaleBlock],
                       2);
  }
  EXPECT_NEAR(square / static_cast<double>(matrix.rows), 1.0, 0.4);
  EXPECT_NE(matrix.scales[0], matrix.scales[1]);
}

TEST(Make, RefusesAFolderWithFiles) {
  TempDir dir;
  WriteWhole(dir.File("note"), "x");
  EXPECT_EQ(MakeCheckpoint({.config_json = kTinyConfig, .out_dir = dir.path()}).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(MakeCheckpoint({.config_json = "{}", .out_dir = dir.path()}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(Make, RefusesWhatTheDiskCannotHold) {
  TempDir dir;
  const std::string huge = With(kV3Config, "\"hidden_size\": 7168", "\"hidden_size\": 65536");
  const absl::Status status = MakeCheckpoint({.config_json = huge, .out_dir = dir.File("model")});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

TEST(Make, ReportsProgressUpToTheEnd) {
  TempDir dir;
  LoadProgress last;
  ASSERT_TRUE(
      MakeCheckpoint(
          {.config_json = kTinyConfig, .out_dir = dir.path(), .progress = [&](const LoadProgress& p) { last = p; }})
          .ok());
  EXPECT_GT(last.bytes_total, 0u);
  EXPECT_EQ(last.bytes_done, last.bytes_total);
  EXPECT_THAT(last.ToString(), HasSubstr("100 %"));
}

TEST(LoadProgress, ReadsAsOneLine) {
  EXPECT_EQ((LoadProgress{.bytes_done = 7'500'000'000, .bytes_total = 18'000'000'000, .seconds = 6.25}).ToString(),
            "42 % 7.5 GB 1.2 GB/s");
}

TEST(Inspect, SaysWhatEachRoleNeeds) {
  const auto checkpoint = Checkpoint::Open(ATOLL_SOURCE_DIR "/checkpoints/tales");
  ASSERT_TRUE(checkpoint.ok());
  const CheckpointNeeds needs = NeedsOf(**checkpoint);
  EXPECT_EQ(needs.experts, 6 * 32);
  EXPECT_EQ(needs.expert_bytes, 3 * 64 * 256 + 3 * 2 * 4);
  EXPECT_EQ(needs.page_bytes, 64 * (64 + 16) * 7 * 2);
  const std::string text = InspectCheckpoint(**checkpoint);
  EXPECT_THAT(text, HasSubstr("6 (1 dense, 5 with experts), 1 MTP"));
  EXPECT_THAT(text, HasSubstr("YaRN x8 from 256"));
  EXPECT_THAT(text, HasSubstr("192 routed experts of 49.2 KB"));
}

}  // namespace
}  // namespace atoll::model
