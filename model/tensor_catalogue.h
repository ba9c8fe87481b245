#pragma once

// Every tensor that a checkpoint of a given config holds: name, shape, allowed element types, and who needs it.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/dtype.h"
#include "model/config.h"

namespace atoll::model {

enum class TensorKind : uint8_t {
  kMatrix,          // in the checkpoint's weight format
  kPlainMatrix,     // bf16 in every checkpoint: embedding, head, gate, eh_proj
  kNorm,            // bf16 or float32 vector
  kCorrectionBias,  // bf16 or float32 vector
  kScale,           // block scales of the matrix before it: float32 or e8m0
};

// An attention node needs all but the routed experts; an expert node needs its experts and nothing else.
enum class TensorRole : uint8_t { kAttention, kRoutedExpert };

struct TensorSpec {
  std::string name;
  int64_t rows = 0;
  int64_t cols = 0;  // 0: a vector of `rows` elements
  TensorKind kind = TensorKind::kMatrix;
  TensorRole role = TensorRole::kAttention;
  DType dtype = DType::kBF16;     // as released; `kind` says what else is accepted
  int32_t layer = -1;             // -1: outside the layers
  int32_t expert = -1;            // -1: not a routed expert
  bool mtp = false;               // of an MTP layer: a checkpoint has all of a layer's or none
  std::string duplicate_of = {};  // MTP copy of this main tensor: may be absent, is never loaded

  int64_t elements() const { return cols == 0 ? rows : rows * cols; }
  int64_t bytes() const { return elements() * DTypeBytes(dtype); }
};

class TensorCatalogue {
 public:
  explicit TensorCatalogue(const ModelConfig& config);
  TensorCatalogue(TensorCatalogue&&) = default;
  TensorCatalogue(const TensorCatalogue&) = delete;

  const std::vector<TensorSpec>& specs() const { return specs_; }
  // Index into specs(), or -1.
  int64_t IndexOf(std::string_view name) const;
  int64_t bytes() const;

 private:
  std::vector<TensorSpec> specs_;
  std::unordered_map<std::string_view, int64_t> index_;  // keys live in specs_
};

// Names as in the files.
std::string LayerTensorName(int64_t layer, std::string_view rest);  // "model.layers.3." + rest
enum class ExpertMatrix { kGate, kUp, kDown };
std::string ExpertTensorName(int64_t layer, int64_t expert, ExpertMatrix matrix);
// The name of the scale tensor that goes with a weight: name + "_scale_inv".
std::string ScaleTensorName(std::string_view weight_name);

// The output matrix: lm_head, or the embedding where the config ties them.
std::string HeadTensorName(const ModelConfig& config);

// True for names that a checkpoint may hold though no catalogue lists them (rotary_emb.inv_freq): skipped.
bool IsSkippedTensorName(std::string_view name);

// Blocks of kScaleBlock that cover `size`.
constexpr int64_t ScaleBlocks(int64_t size) { return (size + kScaleBlock - 1) / kScaleBlock; }

}  // namespace atoll::model
