#include "kernels/math/lanes_avx2.h"
// After the lanes that it is written over.
#include "kernels/rope/rope_lanes.h"

namespace atoll::kernels {

void RotateAvx2(const RopeAngles& angles, const RopeRow& row) { RotateLanes(angles, row); }
void CopyAvx2(const CopyRow& row) { CopyLanes(row); }

}  // namespace atoll::kernels
