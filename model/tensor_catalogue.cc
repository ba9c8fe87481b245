#include "model/tensor_catalogue.h"

#include <utility>

namespace atoll::model {
namespace {

// Adds the tensors of one layer, or of the frame around the layers, in the order of the published files.
class Builder {
 public:
  explicit Builder(const ModelConfig& config) : config_(config) {}

  std::vector<TensorSpec> Build() {
    Plain("model.embed_tokens.weight", config_.vocab_size, config_.hidden_size);
    for (int64_t layer = 0; layer < config_.layers_total(); ++layer) Layer(layer);
    layer_ = -1;
    Norm("model.norm.weight", config_.hidden_size);
    Plain("lm_head.weight", config_.vocab_size, config_.hidden_size);
    if (config_.tie_word_embeddings) specs_.back().duplicate_of = "model.embed_tokens.weight";
    return std::move(specs_);
  }

 private:
  void Layer(int64_t layer) {
    layer_ = static_cast<int32_t>(layer);
    if (config_.is_mtp_layer(layer)) MtpFrame();
    Norm(Name("input_layernorm.weight"), config_.hidden_size);
    Norm(Name("post_attention_layernorm.weight"), config_.hidden_size);
    Attention();
    if (config_.is_moe_layer(layer)) {
      Experts();
    } else {
      Mlp("mlp.", config_.intermediate_size);
    }
  }

  void MtpFrame() {
    const int64_t hidden = config_.hidden_size;
    Norm(Name("enorm.weight"), hidden);
    Norm(Name("hnorm.weight"), hidden);
    Plain(Name("eh_proj.weight"), hidden, 2 * hidden);
    Norm(Name("shared_head.norm.weight"), hidden);
    Plain(Name("embed_tokens.weight"), config_.vocab_size, hidden);
    specs_.back().duplicate_of = "model.embed_tokens.weight";
    Plain(Name("shared_head.head.weight"), config_.vocab_size, hidden);
    specs_.back().duplicate_of = HeadTensorName(config_);
  }

  void Attention() {
    const MlaConfig& mla = config_.attention;
    const int64_t q_rows = mla.num_attention_heads * mla.qk_head_dim();
    if (mla.q_lora_rank > 0) {
      Matrix(Name("self_attn.q_a_proj.weight"), mla.q_lora_rank, config_.hidden_size);
      Norm(Name("self_attn.q_a_layernorm.weight"), mla.q_lora_rank);
      Matrix(Name("self_attn.q_b_proj.weight"), q_rows, mla.q_lora_rank);
    } else {
      Matrix(Name("self_attn.q_proj.weight"), q_rows, config_.hidden_size);
    }
    Matrix(Name("self_attn.kv_a_proj_with_mqa.weight"), mla.latent_row_size(), config_.hidden_size);
    Norm(Name("self_attn.kv_a_layernorm.weight"), mla.kv_lora_rank);
    Matrix(Name("self_attn.kv_b_proj.weight"), mla.num_attention_heads * (mla.qk_nope_head_dim + mla.v_head_dim),
           mla.kv_lora_rank);
    Matrix(Name("self_attn.o_proj.weight"), config_.hidden_size, mla.num_attention_heads * mla.v_head_dim);
  }

  void Experts() {
    Plain(Name("mlp.gate.weight"), config_.gate.n_routed_experts, config_.hidden_size);
    Add(Name("mlp.gate.e_score_correction_bias"), {config_.gate.n_routed_experts, 0}, TensorKind::kCorrectionBias,
        DType::kF32);
    for (int64_t expert = 0; expert < config_.gate.n_routed_experts; ++expert) {
      expert_ = static_cast<int32_t>(expert);
      Mlp(absl::StrCat("mlp.experts.", expert, "."), config_.moe_intermediate_size);
    }
    expert_ = -1;
    Mlp("mlp.shared_experts.", config_.shared_intermediate_size());
  }

  void Mlp(const std::string& prefix, int64_t width) {
    Matrix(Name(prefix + "gate_proj.weight"), width, config_.hidden_size);
    Matrix(Name(prefix + "up_proj.weight"), width, config_.hidden_size);
    Matrix(Name(prefix + "down_proj.weight"), config_.hidden_size, width);
  }

  std::string Name(std::string_view rest) const { return LayerTensorName(layer_, rest); }

  void Norm(std::string name, int64_t size) { Add(std::move(name), {size, 0}, TensorKind::kNorm, DType::kBF16); }
  void Plain(std::string name, int64_t rows, int64_t cols) {
    Add(std::move(name), {rows, cols}, TensorKind::kPlainMatrix, DType::kBF16);
  }
  void Matrix(const std::string& name, int64_t rows, int64_t cols) {
    Add(name, {rows, cols}, TensorKind::kMatrix, config_.matrix_dtype());
    if (config_.weights == WeightFormat::kBF16) return;
    Add(ScaleTensorName(name), {ScaleBlocks(rows), ScaleBlocks(cols)}, TensorKind::kScale, DType::kF32);
  }

  void Add(std::string name, std::pair<int64_t, int64_t> shape, TensorKind kind, DType dtype) {
    specs_.push_back({.name = std::move(name),
                      .rows = shape.first,
                      .cols = shape.second,
                      .kind = kind,
                      .role = expert_ >= 0 ? TensorRole::kRoutedExpert : TensorRole::kAttention,
                      .dtype = dtype,
                      .layer = layer_,
                      .expert = expert_,
                      .mtp = layer_ >= 0 && config_.is_mtp_layer(layer_)});
  }

  const ModelConfig& config_;
  std::vector<TensorSpec> specs_;
  int32_t layer_ = -1;
  int32_t expert_ = -1;
};

}  // namespace

TensorCatalogue::TensorCatalogue(const ModelConfig& config) : specs_(Builder(config).Build()) {
  index_.reserve(specs_.size());
  for (size_t i = 0; i < specs_.size(); ++i) index_.emplace(specs_[i].name, static_cast<int64_t>(i));
}

int64_t TensorCatalogue::IndexOf(std::string_view name) const {
  const auto at = index_.find(name);
  return at == index_.end() ? -1 : at->second;
}

int64_t TensorCatalogue::bytes() const {
  int64_t sum = 0;
  for (const TensorSpec& spec : specs_) sum += spec.bytes();
  return sum;
}

std::string LayerTensorName(int64_t layer, std::string_view rest) {
  return absl::StrCat("model.layers.", layer, ".", std::string(rest));
}

std::string ExpertTensorName(int64_t layer, int64_t expert, ExpertMatrix matrix) {
  const char* name = matrix == ExpertMatrix::kGate ? "gate" : matrix == ExpertMatrix::kUp ? "up" : "down";
  return absl::StrCat("model.layers.", layer, ".mlp.experts.", expert, ".", name, "_proj.weight");
}

std::string ScaleTensorName(std::string_view weight_name) {
  return absl::StrCat(std::string(weight_name), "_scale_inv");
}

std::string HeadTensorName(const ModelConfig& config) {
  return config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
}

bool IsSkippedTensorName(std::string_view name) { return name.find("rotary_emb.inv_freq") != std::string_view::npos; }

}  // namespace atoll::model
