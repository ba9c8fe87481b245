#include "kernels/math/lanes_avx2.h"
// After the lanes that it is written over.
#include "math_arrays_lanes.h"

namespace atoll::kernels::testing {

const MathArrays kAvx2Arrays = kLaneArrays;

}  // namespace atoll::kernels::testing
