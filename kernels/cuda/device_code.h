#pragma once

// The dialect of kernels/<op>/<op>_cuda.cu. Each such file is compiled twice, whole: by nvcc for sm_90a, and by the C++ compiler, where every
// thread is a fiber (emulated.h). It includes this file first, holds arithmetic only and has no #ifdef. The contract:
//
//   declared   in <op>_cuda.h:  ATOLL_DECLARE_KERNEL(RmsNormRows, 256, RmsNormParams);   256: the most threads a block may have
//   written    in <op>_cuda.cu: ATOLL_KERNEL(RmsNormRows, RmsNormParams) { ... params.x ... }
//   launched   by plain C++:    stream.Launch(kRmsNormRows, {.grid = {rows}, .block = {256}, .shared_bytes = 0}, params)
//
// - A kernel has one argument, `params`: a trivially copyable struct of at most 4 KB, pointers in it as DevicePtr<T> (device_kernel.h), so
//   that a host pointer cannot come in unseen. Templates are instantiated by naming one kernel per instance.
// - Functions that kernels call are ATOLL_DEVICE (always inlined, internal linkage; templates too); constants are constexpr. constexpr
//   functions of base/dtype.h (ToFloat, ToBFloat16, E4M3ToFloat) may be called. Types and constants of one .cu stand in an unnamed namespace.
// - Shared memory: ATOLL_SHARED(float, sums, 32) declares `float* const sums`, 128-byte aligned, at function scope, one for the block;
//   ATOLL_DYNAMIC_SHARED(tile) declares `std::byte* const tile` with the launch's shared_bytes. Both hold NaN (0xFF bytes) until written in the
//   emulator. At most 48 KB static, 227 KB together.
// - threadIdx, blockIdx, blockDim, gridDim are CUDA's. __syncthreads() must be reached by all threads of the block, at the same line: none may
//   have returned. Warp calls (__syncwarp, __shfl_sync, __shfl_up_sync, __shfl_down_sync, __shfl_xor_sync, __ballot_sync, __any_sync,
//   __all_sync, mma, ldmatrix) wait for all lanes of their mask, at the same line; a lane's width is always 32. Reading a lane outside
//   the mask ends the program. Shuffles move int, unsigned, float, 64-bit integers.
// - Arithmetic is IEEE float32 without contraction (-fmad=false, -ffp-contract=off): write fmaf(a, b, c) where a fused product is meant.
//   Denormals are zero (-ftz=true; the emulator sets DAZ and FTZ). `/` and sqrtf round correctly; no other function of the math library.
// - Atomics: atomicAdd, atomicMax, atomicMin, atomicExch, atomicCAS on int, unsigned, unsigned long long: on whole numbers only, whose sums know
//   no order (promise P1). Blocks run in any order and not together: none may wait for another.
// - 16-byte accesses: uint4, float4 (LoadVector, StoreVector below). cp.async: async_copy.h. Tensor cores: tensor_core.h.

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "kernels/cuda/device_kernel.h"

#ifdef __CUDACC__

#define ATOLL_DEVICE static __device__ __forceinline__
#define ATOLL_KERNEL(name, Params)                                                                             \
  __global__ void name##Cuda(const __grid_constant__ Params params);                                                             \
  const void* name##CudaImage() { return reinterpret_cast<const void*>(&name##Cuda); }                         \
  __global__ void __launch_bounds__(k##name.threads_max) name##Cuda(const __grid_constant__ Params params)
#define ATOLL_SHARED(T, name, count)                                                        \
  __shared__ __align__(128) unsigned char name##_storage[sizeof(T) * (count)];              \
  T* const name = reinterpret_cast<T*>(name##_storage)
#define ATOLL_DYNAMIC_SHARED(name)                                      \
  extern __shared__ __align__(128) unsigned char atoll_dynamic_shared[]; \
  std::byte* const name = reinterpret_cast<std::byte*>(atoll_dynamic_shared)

#else

#include "kernels/cuda/emulated.h"

#define ATOLL_DEVICE [[maybe_unused]] static inline
#define ATOLL_KERNEL(name, Params) void name##Emulated(const Params& params)
#define ATOLL_SHARED(T, name, count)    \
  static char name##_site;              \
  T* const name = static_cast<T*>(::atoll::kernels::emulated::StaticShared(&name##_site, #name, sizeof(T) * (count)))
#define ATOLL_DYNAMIC_SHARED(name) std::byte* const name = ::atoll::kernels::emulated::DynamicShared()

#endif

namespace atoll::kernels {
namespace {

// One 16-byte access. `from` and `to` must be aligned to 16 bytes; the emulator checks that.
template <typename V, typename T>
ATOLL_DEVICE V LoadVector(const T* from) {
  static_assert(sizeof(V) == 16);
#ifndef __CUDACC__
  emulated::ExpectAligned(from, 16);
#endif
  return *reinterpret_cast<const V*>(from);
}
template <typename V, typename T>
ATOLL_DEVICE void StoreVector(T* to, V value) {
  static_assert(sizeof(V) == 16);
#ifndef __CUDACC__
  emulated::ExpectAligned(to, 16);
#endif
  *reinterpret_cast<V*>(to) = value;
}

// The sum of `value` over a warp: lanes l and l ^ 16, then ^ 8, 4, 2, 1; the same bits in every lane.
ATOLL_DEVICE float WarpSum(float value) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, offset);
  return value;
}
ATOLL_DEVICE float WarpMax(float value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    const float other = __shfl_xor_sync(0xFFFFFFFFu, value, offset);
    value = other > value ? other : value;
  }
  return value;
}

}  // namespace
}  // namespace atoll::kernels
