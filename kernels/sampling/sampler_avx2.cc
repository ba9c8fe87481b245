#include "kernels/math/lanes_avx2.h"
// After the lanes that it is written over.
#include "kernels/sampling/sampler_lanes.h"

namespace atoll::kernels {

const SamplerRows kSamplerAvx2 = {ScaleLanes, DropBelowLanes, ExpsLanes, GatherLanes, GumbelMaxLanes};

}  // namespace atoll::kernels
