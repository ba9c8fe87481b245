#include "tests/attention_node/local_experts.h"

#include <cstring>

#include "attention_node/layers/kernel_call.h"

namespace atoll::attention_node {

LocalExperts::LocalExperts(const model::ModelConfig& config, const kernels::Context& context, int32_t rows_max)
    : config_(config), context_(context), experts_(config.num_hidden_layers * config.gate.n_routed_experts),
      runner_({.pairs_max = rows_max * config.gate.num_experts_per_tok, .intermediate_max = config.moe_intermediate_size}),
      sorted_(static_cast<size_t>(rows_max * config.gate.num_experts_per_tok * config.hidden_size) * sizeof(float)) {}

absl::StatusOr<std::unique_ptr<LocalExperts>> LocalExperts::Load(const model::Checkpoint& checkpoint, const kernels::Context& context,
                                                                 int32_t rows_max) {
  std::unique_ptr<LocalExperts> local(new LocalExperts(checkpoint.config(), context, rows_max));
  std::vector<node::PackItem> items;
  for (const model::ExpertId& id : model::AllExperts(local->config_, false)) {
    Expert& expert = local->experts_[id.layer * local->config_.gate.n_routed_experts + id.expert];
    const auto add = [&](const char* name, kernels::PackedMatrix& to) {
      items.push_back({absl::StrCat("model.layers.", id.layer, ".mlp.experts.", id.expert, ".", name, ".weight"), {}, false, &to});
    };
    add("gate_proj", expert.gate), add("up_proj", expert.up), add("down_proj", expert.down);
  }
  ATOLL_ASSIGN_OR_RETURN(local->packed_, node::PackedShard::Load(checkpoint, items, context, {}));
  return local;
}

void LocalExperts::Post(const ExpertDispatch& dispatch) {
  std::vector<kernels::ExpertGroup> groups;
  std::vector<int32_t> pair_row, pair_target;
  for (int64_t id = 0; id < config_.gate.n_routed_experts; ++id) {
    const int64_t first = static_cast<int64_t>(pair_row.size());
    for (size_t i = 0; i < dispatch.experts.size(); ++i) {
      if (dispatch.experts[i] != id) continue;
      pair_row.push_back(static_cast<int32_t>(i) / dispatch.experts_per_row);
      pair_target.push_back(static_cast<int32_t>(i));
    }
    const Expert& expert = experts_[dispatch.layer * config_.gate.n_routed_experts + id];
    const int64_t count = static_cast<int64_t>(pair_row.size()) - first;
    if (count > 0) groups.push_back({expert.gate, expert.up, expert.down, first, count});
  }
  const MatrixView& results = dispatch.results;
  const MatrixView out{sorted_.data(), results.dtype, static_cast<int64_t>(pair_row.size()), results.cols, results.cols};
  MustRun(runner_.Run(context_, groups, dispatch.rows, pair_row, out), "experts");
  for (int64_t pair = 0; pair < out.rows; ++pair) {
    std::memcpy(results.Row(pair_target[pair]), out.Row(pair), static_cast<size_t>(out.cols * DTypeBytes(out.dtype)));
  }
  waits_left_[dispatch.micro_batch] = waits_[dispatch.micro_batch];
  failed_[dispatch.micro_batch].clear();
  if (after_post) after_post(dispatch, failed_[dispatch.micro_batch]);
}

}  // namespace atoll::attention_node
