#include "kernels/math/lanes_avx512.h"
// After the lanes that it is written over.
#include "kernels/swiglu/swiglu_lanes.h"
#include "kernels/swiglu/swiglu_rows.h"

namespace atoll::kernels {

void SwiGluBf16Avx512(const float* gate, const float* up, int64_t width, void* out) { SwiGluLanes(true, gate, up, width, out); }
void SwiGluF32Avx512(const float* gate, const float* up, int64_t width, void* out) { SwiGluLanes(false, gate, up, width, out); }

}  // namespace atoll::kernels
