#include "kernels/cuda/probe_cuda.h"

#include "kernels/cuda/device_code.h"

namespace atoll::kernels {
namespace {

ATOLL_DEVICE int64_t FirstVector() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
ATOLL_DEVICE int64_t VectorStep() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

}  // namespace

ATOLL_KERNEL(ProbeCopy, ProbeParams) {
  for (int64_t i = FirstVector(); i < params.vectors; i += VectorStep()) {
    StoreVector(params.to.address() + 4 * i, LoadVector<uint4>(params.from.address() + 4 * i));
  }
}

ATOLL_KERNEL(ProbeRead, ProbeParams) {
  uint32_t all = 0;
  for (int64_t i = FirstVector(); i < params.vectors; i += VectorStep()) {
    const uint4 vector = LoadVector<uint4>(params.from.address() + 4 * i);
    all |= vector.x ^ vector.y ^ vector.z ^ vector.w;
  }
  if (all == 0x12345678u) atomicExch(params.to.address(), all);   // never so often that it costs time, but the reads must happen
}

ATOLL_KERNEL(ProbeFill, ProbeParams) {
  for (int64_t i = FirstVector(); i < params.vectors; i += VectorStep()) {
    const uint32_t first = static_cast<uint32_t>(4 * i);
    StoreVector(params.to.address() + 4 * i, make_uint4(first, first + 1, first + 2, first + 3));
  }
}

}  // namespace atoll::kernels
