#include "kernels/math/lanes_avx2.h"
// After the lanes that it is written over.
#include "kernels/softmax/row_sums_lanes.h"

namespace atoll::kernels {

const RowSums kRowSumsAvx2 = {LargestOfLanes, SumOfExpLanes};

}  // namespace atoll::kernels
