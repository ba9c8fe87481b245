#include "kernels/math/lanes_avx512.h"
// After the lanes that it is written over.
#include "kernels/softmax/row_sums_lanes.h"

namespace atoll::kernels {

const RowSums kRowSumsAvx512 = {LargestOfLanes, SumOfExpLanes};

}  // namespace atoll::kernels
