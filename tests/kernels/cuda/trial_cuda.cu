#include "tests/kernels/cuda/trial_cuda.h"

#include "kernels/cuda/async_copy.h"
#include "kernels/cuda/device_code.h"
#include "kernels/cuda/tensor_core.h"

namespace atoll::kernels {

ATOLL_KERNEL(TrialReverse, TrialParams) {
  const int thread = threadIdx.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * 64;
  if (params.fault == Fault::kEarlyReturn && thread < 10) return;
  ATOLL_SHARED(float, tile, 64);
  tile[thread] = params.from[first + thread];
  if (params.fault == Fault::kTwoBarriers && thread < 32) {
    __syncthreads();
  } else if (params.fault != Fault::kNoBarrier) {
    __syncthreads();
  }
  if (params.fault == Fault::kSharedOverrun) tile[64 + thread / 63] = 0;
  const int64_t beyond = params.fault == Fault::kDeviceOverrun ? 1 : 0;
  params.to[first + thread + beyond] = tile[63 - thread];
}

ATOLL_KERNEL(TrialSum, TrialParams) {
  ATOLL_DYNAMIC_SHARED(storage);
  auto* sums = reinterpret_cast<float*>(storage);
  const int thread = threadIdx.x;
  sums[thread] = params.from[static_cast<int64_t>(blockIdx.x) * 128 + thread];
  for (int half = 64; half >= 32; half /= 2) {
    __syncthreads();
    if (thread < half) sums[thread] += sums[thread + half];
  }
  if (thread >= 32) return;
  __syncwarp();
  const float sum = WarpSum(sums[thread]);
  if (thread == 0) params.to[blockIdx.x] = sum;
}

ATOLL_KERNEL(TrialWarp, TrialParams) {
  const int lane = threadIdx.x % 32;
  const float mine = params.from[threadIdx.x];
  if (params.fault == Fault::kMissingLane && lane == 7) return;
  if (params.fault == Fault::kMisaligned) LoadVector<float4>(params.from.address() + 1);
  float results[8];
  results[0] = __shfl_sync(0xFFFFFFFFu, mine, 5);
  results[1] = __shfl_xor_sync(0xFFFFFFFFu, mine, 9);
  results[2] = __shfl_up_sync(0xFFFFFFFFu, mine, 3);
  results[3] = __shfl_down_sync(0xFFFFFFFFu, mine, 3);
  results[4] = static_cast<float>(__ballot_sync(0xFFFFFFFFu, lane % 3 == 0) & 0xFFFF);
  results[5] = static_cast<float>(__any_sync(0xFFFFFFFFu, lane == 4) + 2 * __all_sync(0xFFFFFFFFu, lane < 31));
  results[6] = 0;
  if (lane < 8) results[6] = __shfl_xor_sync(0xFFu, mine, params.fault == Fault::kLaneOutsideMask ? 8 : 1);
  results[7] = WarpMax(mine);
  if (threadIdx.x >= 32) return;
  for (int i = 0; i < 8; ++i) params.to[lane * 8 + i] = results[i];
}

ATOLL_KERNEL(TrialCopy, TrialParams) {
  ATOLL_SHARED(float, tile, 128);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * 128 + 4 * threadIdx.x;
  CopyAsync16(tile + 4 * threadIdx.x, params.from.address() + first, first < params.count);
  CommitCopies();
  CommitCopies();   // an empty group, the youngest
  if (params.fault == Fault::kNone) AwaitCopies<1>();
  StoreVector(params.to.address() + first, LoadVector<float4>(tile + 4 * threadIdx.x));
  if (params.fault == Fault::kCopyTooEarly) AwaitCopies<0>();
}

ATOLL_KERNEL(TrialMma, TrialMmaParams) {
  ATOLL_SHARED(uint16_t, a_tile, 256);
  ATOLL_SHARED(uint16_t, b_tile, 256);   // its second half pads ldmatrix.x4
  const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  for (int i = lane; i < 256; i += 32) {
    a_tile[i] = params.a[i];
    b_tile[i] = i < 128 ? params.b[i] : uint16_t{0};
  }
  __syncthreads();
  uint32_t a[4], b[2];
  if (params.by_ldmatrix) {
    uint32_t b_four[4];
    LoadMatrices<false>(a, a_tile + (lane % 8 + lane / 8 % 2 * 8) * 16 + lane / 16 * 8);
    LoadMatrices<true>(b_four, b_tile + lane % 32 * 8);
    b[0] = b_four[0];
    b[1] = b_four[1];
  } else {
    const auto pair = [](uint16_t low, uint16_t high) { return low | static_cast<uint32_t>(high) << 16; };
    for (int i = 0; i < 4; ++i) {
      const uint16_t* from = a_tile + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
      a[i] = pair(from[0], from[1]);
    }
    for (int i = 0; i < 2; ++i) b[i] = pair(b_tile[(2 * t + 8 * i) * 8 + g], b_tile[(2 * t + 8 * i + 1) * 8 + g]);
  }
  float d[4];
  for (int i = 0; i < 4; ++i) d[i] = params.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  MmaBf16(d, a, b);
  for (int i = 0; i < 4; ++i) params.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

ATOLL_KERNEL(TrialCodes, TrialCodesParams) {
  params.pairs[threadIdx.x] = Bf16PairOfE4M3(threadIdx.x | (255 - threadIdx.x) << 8);
}

ATOLL_KERNEL(TrialCount, TrialCountParams) {
  atomicAdd(&params.counters[0], threadIdx.x + blockIdx.x);
  atomicMax(&params.counters[1], blockIdx.x * 100 + threadIdx.x);
  if (threadIdx.x != 0) return;
  unsigned seen = params.counters[2];
  while (true) {   // the blocks' numbers in base 4, in the order in which they come
    const unsigned before = atomicCAS(&params.counters[2], seen, seen * 4 + blockIdx.x);
    if (before == seen) return;
    seen = before;
  }
}

}  // namespace atoll::kernels
