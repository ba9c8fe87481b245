#include "kernels/math/lanes_avx512.h"
// After the lanes that it is written over.
#include "kernels/rope/rope_lanes.h"

namespace atoll::kernels {

void RotateAvx512(const RopeAngles& angles, const RopeRow& row) { RotateLanes(angles, row); }
void CopyAvx512(const CopyRow& row) { CopyLanes(row); }

}  // namespace atoll::kernels
