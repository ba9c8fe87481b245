#include "model/config.h"

#include <cmath>

#include "model/files/refusal.h"
#include "model/files/verified_file.h"

namespace atoll::model {
namespace {

constexpr uint64_t kConfigFileBytesMax = 1 << 20;

double Mscale(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

}  // namespace

const char* WeightFormatName(WeightFormat format) {
  return format == WeightFormat::kBF16 ? "bf16" : "fp8 e4m3 with 128x128 scales";
}

double SoftmaxScale(const ModelConfig& config) {
  const double plain = 1.0 / std::sqrt(static_cast<double>(config.attention.qk_head_dim()));
  if (!config.rope.yarn || config.rope.yarn->mscale_all_dim == 0) return plain;
  const double mscale = Mscale(config.rope.yarn->factor, config.rope.yarn->mscale_all_dim);
  return plain * mscale * mscale;
}

double RopeAttentionFactor(const RopeConfig& rope) {
  if (!rope.yarn) return 1;
  const YarnConfig& yarn = *rope.yarn;
  if (yarn.attention_factor) return *yarn.attention_factor;
  if (yarn.mscale == 0 || yarn.mscale_all_dim == 0) return Mscale(yarn.factor, 1);
  return Mscale(yarn.factor, yarn.mscale) / Mscale(yarn.factor, yarn.mscale_all_dim);
}

int64_t PageBytes(const ModelConfig& config, DType activation_dtype) {
  return kPagePositions * config.attention.latent_row_size() * config.layers_total() * DTypeBytes(activation_dtype);
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& dir) {
  ATOLL_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(dir, "config.json", kConfigFileBytesMax));
  absl::StatusOr<ModelConfig> config = ParseModelConfig(text);
  if (!config.ok()) return Refusal(dir, ": ", config.status().message());
  return config;
}

absl::StatusOr<GenerationConfig> LoadGenerationConfig(const std::string& dir) {
  const absl::StatusOr<std::string> text = ReadSmallFile(dir, "generation_config.json", kConfigFileBytesMax);
  if (absl::IsNotFound(text.status())) return GenerationConfig{};
  ATOLL_RETURN_IF_ERROR(text.status());
  absl::StatusOr<GenerationConfig> generation = ParseGenerationConfig(*text);
  if (!generation.ok()) return Refusal(dir, ": ", generation.status().message());
  return generation;
}

}  // namespace atoll::model
