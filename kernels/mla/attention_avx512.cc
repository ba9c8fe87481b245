#include "kernels/math/lanes_avx512.h"
// After the lanes that it is written over.
#include "kernels/mla/attention_lanes.h"

namespace atoll::kernels {

const AttentionCore kAttentionAvx512 = {PackAny, ScoresAny, SoftmaxAny, MergeLanes, ValuesAny, FinishLanes};

}  // namespace atoll::kernels
