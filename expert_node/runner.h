#pragma once

// Runs a batch through the experts. Owned by the receiver's thread, which lends itself to the compute pool meanwhile.

#include <vector>

#include "base/matrix_view.h"
#include "base/status.h"
#include "expert_node/expert_batch.h"
#include "expert_node/expert_store.h"
#include "kernels/context.h"
#include "kernels/grouped_experts/grouped_experts.h"

namespace atoll::expert_node {

class Runner {
 public:
  Runner(const kernels::Context& context, int32_t pairs_max, int64_t intermediate);

  // Row r of `out` [pairs, hidden] becomes the batch's pair r; every expert of the batch is in `table`. What is not finite
  // passes through: the attention node notices it. The pool is parked when this returns.
  absl::Status Run(const ExpertBatch& batch, int64_t layer, const ExpertTable& table, const ConstMatrixView& rows,
                   const MatrixView& out);

 private:
  const kernels::Context context_;
  kernels::GroupedExperts experts_;
  std::vector<kernels::ExpertGroup> groups_;
};

}  // namespace atoll::expert_node
