#pragma once

// Passes of one block over one row of numbers.

#include "kernels/cuda/operand_access.h"
#include "kernels/math/lanes_device.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"

namespace atoll::kernels {
namespace {

// A number and where it stands; index -1: none.
struct Candidate {
  float value;
  int32_t index;
};

// The larger one stays, among equals the lower index. NaN never wins.
ATOLL_DEVICE void Offer(const Candidate& other, Candidate& best) {
  if (other.index < 0) return;
  if (best.index < 0 || other.value > best.value || (other.value == best.value && other.index < best.index)) best = other;
}

ATOLL_DEVICE void OfferOfWarp(Candidate& best) {
  for (int offset = 16; offset > 0; offset /= 2) {
    const float value = __shfl_xor_sync(0xFFFFFFFFu, best.value, offset);
    const int32_t index = __shfl_xor_sync(0xFFFFFFFFu, best.index, offset);
    Offer({value, index}, best);
  }
}

// The best of all threads' candidates, in every thread of a block of whole warps.
ATOLL_DEVICE Candidate BlockBest(Candidate best) {
  ATOLL_SHARED(Candidate, warps, 32);
  OfferOfWarp(best);
  __syncthreads();   // an earlier call's readers are done
  if (threadIdx.x % kWarpLanes == 0) warps[threadIdx.x / kWarpLanes] = best;
  __syncthreads();
  for (unsigned warp = 0; warp < blockDim.x / kWarpLanes; ++warp) Offer(warps[warp], best);
  return best;
}

// The largest number that is not NaN (-infinity where there is none) and the first place where it stands.
ATOLL_DEVICE Candidate LargestOfRow(const float* x, int64_t count) {
  Candidate best = {MinusInfinity(), -1};
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    if (x[i] == x[i]) Offer({x[i], static_cast<int32_t>(i)}, best);
  }
  return BlockBest(best);
}

ATOLL_DEVICE bool AllFinite(const float* x, int64_t count) {
  bool bad = false;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) bad = bad || !IsFinite(x[i]);
  return !BlockAny(bad);
}

}  // namespace
}  // namespace atoll::kernels
