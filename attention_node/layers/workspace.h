#pragma once

// Every buffer of a step, sized once by the most rows a step may have: the hot path allocates nothing. Owned by the step
// thread. Row r of a matrix belongs to row r of the step unless said otherwise.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "attention_node/step.h"
#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/cpu/huge_buffer.h"
#include "kernels/grouped_experts/grouped_experts.h"
#include "kernels/linear/linear.h"
#include "kernels/mla/mla_rows.h"
#include "model/config.h"

namespace atoll::attention_node {

// Rows whose logits are computed together: bounds the logits' memory.
inline constexpr int32_t kHeadRows = 64;

struct StepLimits {
  int32_t rows_max = 0;
  DType activation_dtype = DType::kBF16;
  int32_t threads = 1;
};

class OwnedMatrix {
 public:
  OwnedMatrix() = default;
  OwnedMatrix(int64_t rows, int64_t cols, DType dtype)
      : buffer_(static_cast<size_t>(rows * cols * DTypeBytes(dtype))), view_{buffer_.data(), dtype, rows, cols, cols} {}
  const MatrixView& view() const { return view_; }
  MatrixView Rows(int64_t first, int64_t count) const { return view_.Rows(first, count); }

 private:
  kernels::HugeBuffer buffer_;
  MatrixView view_;
};

struct Workspace {
  Workspace(const model::ModelConfig& config, const StepLimits& limits);

  const DType activation_dtype;
  OwnedMatrix residual;     // float32 [rows, hidden]
  OwnedMatrix normed;       // [rows, hidden]: what the layer reads; dispatched rows stay here until they are combined
  OwnedMatrix q_a, q_a_normed, q, kv_a;
  OwnedMatrix q_nope, q_rope;
  OwnedMatrix absorbed;     // [rows, heads * latent]: q_nope in the latent space (absorbed form)
  OwnedMatrix latent;       // [rows, heads * latent]: attention's result there
  OwnedMatrix attended;     // [rows, heads * value]
  OwnedMatrix gate_logits;  // float32 [rows, experts]
  OwnedMatrix mlp;          // float32 [rows, hidden]: dense MLP or shared expert
  OwnedMatrix expert_rows;  // [rows * experts per token, hidden]: row r * k + slot
  OwnedMatrix sampled, sampled_normed, logits;  // [kHeadRows, ...]: of the rows that the head works on

  std::vector<int32_t> tokens, positions;   // [rows]
  std::vector<std::byte*> key_rows;         // [rows]
  std::vector<kernels::MlaRow> mla_rows;    // [rows]
  std::vector<int32_t> experts;             // [rows * experts per token]
  std::vector<float> expert_weights;        // likewise
  std::vector<const void*> expert_row_addresses;  // likewise: into expert_rows
  std::vector<uint8_t> non_finite;          // [rows]
  std::vector<kernels::LinearTask> head_tasks;
  kernels::HugeBuffer mla_scratch;
  kernels::GroupedExperts mlp_runner;
};

// Shapes of the latent attention as its kernels want them; pages hold the MTP layers too.
kernels::MlaShape MlaShapeOf(const model::ModelConfig& config, DType activation_dtype);

}  // namespace atoll::attention_node
