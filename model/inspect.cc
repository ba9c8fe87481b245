#include "model/inspect.h"

#include "absl/strings/str_format.h"
#include "model/placement.h"
#include "model/shard_plan.h"

namespace atoll::model {
namespace {

std::string Size(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= 1'000'000'000) return absl::StrFormat("%.2f GB", value / 1e9);
  if (bytes >= 1'000'000) return absl::StrFormat("%.2f MB", value / 1e6);
  return absl::StrFormat("%.1f KB", value / 1e3);
}

std::string Count(int64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1'000'000'000) return absl::StrFormat("%.2f billion", value / 1e9);
  return absl::StrFormat("%.1f million", value / 1e6);
}

void AddLine(std::string& text, std::string_view label, const std::string& value) {
  absl::StrAppendFormat(&text, "%-16s%s\n", std::string(label), value);
}

std::string Layers(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  int64_t dense = 0;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) dense += !config.is_moe_layer(layer);
  std::string text = absl::StrFormat("%d (%d dense, %d with experts)", config.num_hidden_layers, dense,
                                     config.num_hidden_layers - dense);
  if (config.num_nextn_predict_layers == 0) return text + ", no MTP layer";
  return text + (checkpoint.has_mtp() ? absl::StrFormat(", %d MTP", config.num_nextn_predict_layers)
                                      : ", the MTP layer is not in the files");
}

std::string Attention(const ModelConfig& config) {
  const MlaConfig& mla = config.attention;
  const std::string q = mla.q_lora_rank > 0 ? absl::StrCat("q rank ", mla.q_lora_rank) : std::string("q not factored");
  return absl::StrFormat("%d heads of %d + %d rotary, values of %d; %s, latent %d", mla.num_attention_heads,
                         mla.qk_nope_head_dim, mla.qk_rope_head_dim, mla.v_head_dim, q, mla.kv_lora_rank);
}

std::string Experts(const ModelConfig& config) {
  const GateConfig& gate = config.gate;
  return absl::StrFormat("%d of width %d per layer, %d chosen in %d of %d groups; shared width %d",
                         gate.n_routed_experts, config.moe_intermediate_size, gate.num_experts_per_tok, gate.topk_group,
                         gate.n_group, config.shared_intermediate_size());
}

std::string Context(const ModelConfig& config) {
  const std::string text = absl::StrCat(config.max_position_embeddings, " positions");
  if (!config.rope.yarn) return text;
  return absl::StrFormat("%s, YaRN x%g from %d", text, config.rope.yarn->factor,
                         config.rope.yarn->original_max_position_embeddings);
}

}  // namespace

CheckpointNeeds NeedsOf(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  CheckpointNeeds needs;
  for (const TensorEntry& entry : checkpoint.entries()) {
    const bool counted = entry.present() && entry.spec->duplicate_of.empty() && entry.spec->kind != TensorKind::kScale;
    needs.parameters += counted ? entry.spec->elements() : 0;
  }
  needs.attention_bytes = AttentionShard(checkpoint.catalogue(), checkpoint.has_mtp()).bytes;
  needs.expert_bytes = ExpertBytes(config);
  needs.experts = static_cast<int64_t>(AllExperts(config, checkpoint.has_mtp()).size());
  const int64_t layers = config.num_hidden_layers + (checkpoint.has_mtp() ? config.num_nextn_predict_layers : 0);
  needs.position_bytes = config.attention.latent_row_size() * layers * DTypeBytes(DType::kBF16);
  needs.page_bytes = needs.position_bytes * kPagePositions;
  return needs;
}

std::string InspectCheckpoint(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const CheckpointNeeds needs = NeedsOf(checkpoint);
  std::string text;
  AddLine(text, "checkpoint", checkpoint.dir());
  AddLine(text, "model",
          absl::StrFormat("%s, %s parameters, fingerprint %016x", config.model_type, Count(needs.parameters),
                          checkpoint.fingerprint()));
  AddLine(text, "weights",
          absl::StrFormat("%s, %d file(s), %s", WeightFormatName(config.weights), checkpoint.file_count(),
                          Size(needs.attention_bytes + needs.experts * needs.expert_bytes)));
  AddLine(text, "layers", Layers(checkpoint));
  AddLine(text, "hidden",
          absl::StrFormat("%d, dense width %d, vocabulary %d", config.hidden_size, config.intermediate_size,
                          config.vocab_size));
  AddLine(text, "attention", Attention(config));
  AddLine(text, "experts", Experts(config));
  AddLine(text, "context", Context(config));
  text += "\nmemory by role\n";
  AddLine(
      text, "attention node",
      absl::StrFormat("%s of weights, and %s per page of %d positions (%s per position)", Size(needs.attention_bytes),
                      Size(needs.page_bytes), kPagePositions, Size(needs.position_bytes)));
  AddLine(text, "expert nodes",
          absl::StrFormat("%s together: %d routed experts of %s", Size(needs.experts * needs.expert_bytes),
                          needs.experts, Size(needs.expert_bytes)));
  return text;
}

}  // namespace atoll::model
