#include "kernels/math/lanes_avx2.h"
// After the lanes that it is written over.
#include "kernels/rms_norm/rms_norm_lanes.h"

namespace atoll::kernels {

void RmsNormAvx2(const RmsNormRow& row) { RmsNormLanes(row); }

}  // namespace atoll::kernels
