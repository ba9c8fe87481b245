#include "expert_node/runner.h"

#include "node/packed_shard.h"

namespace atoll::expert_node {

Runner::Runner(const kernels::Context& context, int32_t pairs_max, int64_t intermediate)
    : context_(context), experts_({.pairs_max = pairs_max, .intermediate_max = intermediate}) {
  groups_.reserve(pairs_max);
}

absl::Status Runner::Run(const ExpertBatch& batch, int64_t layer, const ExpertTable& table, const ConstMatrixView& rows,
                         const MatrixView& out) {
  groups_.clear();
  for (const ExpertRange& range : batch.ranges()) {
    const Replica* replica = table.Find(layer, range.expert);
    if (replica == nullptr) return absl::InternalError(absl::StrCat("layer ", layer, " expert ", range.expert, " is not loaded"));
    groups_.push_back({replica->gate, replica->up, replica->down, range.first_pair, range.pair_count});
  }
  if (context_.pool != nullptr) context_.pool->BeginStage();
  const kernels::KernelError error = experts_.Run(context_, groups_, rows, batch.pair_row(), out);
  if (context_.pool != nullptr) context_.pool->EndStage();
  return node::FromKernelError(error, absl::StrCat("experts of layer ", layer));
}

}  // namespace atoll::expert_node
