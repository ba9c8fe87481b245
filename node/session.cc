#include "node/session.h"

namespace atoll::node {

net::SessionTerms TermsOf(const model::ModelConfig& model, uint64_t model_fingerprint, DType dtype) {
  net::SessionTerms terms;
  terms.model_fingerprint = model_fingerprint;
  terms.limits.hidden_size = static_cast<uint32_t>(model.hidden_size);
  terms.limits.row_dtype = dtype;
  terms.limits.result_dtype = dtype;
  terms.limits.layers = static_cast<uint32_t>(model.layers_total());
  terms.limits.experts = static_cast<uint32_t>(model.gate.n_routed_experts);
  return terms;
}

absl::StatusOr<DType> ParseActivationDType(const std::string& name) {
  if (name == "bfloat16") return DType::kBF16;
  if (name == "float32") return DType::kF32;
  return absl::InvalidArgumentError(absl::StrCat("the activation dtype must be bfloat16 or float32, found '", name, "'"));
}

}  // namespace atoll::node
