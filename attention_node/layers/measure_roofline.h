#pragma once

#include "attention_node/layers/attention_shard.h"
#include "attention_node/replica_choice/replica_choice.h"
#include "base/clock.h"
#include "base/dtype.h"

namespace atoll::attention_node {

// What an expert costs for one row (reading its weights) and for many (computing), measured on the shared experts of this
// process, which have the routed ones' form. Only the ratio counts for choosing replicas, and it is taken for that of the
// expert nodes too. Defaults where the model has no shared expert. Takes some hundredths of a second.
ExpertRoofline MeasureRoofline(const AttentionShard& shard, const kernels::Context& context, DType activation_dtype, const Clock& clock);

}  // namespace atoll::attention_node
