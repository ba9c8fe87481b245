#include "kernels/math/lanes_avx512.h"
// After the lanes that it is written over.
#include "kernels/combine/combine_lanes.h"

namespace atoll::kernels {

bool CombineAvx512(const CombineRow& row) { return CombineLanes(row); }

}  // namespace atoll::kernels
