#include "kernels/check/mma_probe_cuda.h"

#include "kernels/cuda/device_code.h"
#include "kernels/cuda/tensor_core.h"

namespace atoll::kernels {

ATOLL_KERNEL(MmaProbe, MmaProbeParams) {
  // Random mantissas around one: the power that a product takes depends on its bits.
  uint32_t seed = threadIdx.x * 2654435761u + blockIdx.x * 40503u;
  uint32_t a[4], b[2];
  for (uint32_t& pair : a) pair = 0x3F803F80u | ((seed = seed * 1664525u + 1013904223u) >> 8 & 0x007F007Fu);
  for (uint32_t& pair : b) pair = 0xBF803F80u | ((seed = seed * 1664525u + 1013904223u) >> 8 & 0x007F007Fu);
  float d[kMmaProbeChains][4] = {};
  for (int32_t round = 0; round < params.rounds; ++round) {
    for (int chain = 0; chain < kMmaProbeChains; ++chain) MmaBf16(d[chain], a, b);
  }
  float sum = 0;
  for (int chain = 0; chain < kMmaProbeChains; ++chain) sum += d[chain][0] + d[chain][1] + d[chain][2] + d[chain][3];
  if (sum == 0.12345678f) params.to[threadIdx.x] = sum;
}

}  // namespace atoll::kernels
