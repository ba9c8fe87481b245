#pragma once

// CUDA's names for the C++ compiler: what a *_cuda.cu sees when it is compiled for the emulator (device_code.h has the contract). A block
// runs as one fiber per thread on its stream's thread. Between two synchronizing calls a fiber runs alone; which one runs next, and which
// block, is drawn from the device's schedule (0: ascending, 1: descending, others: random by that seed). What a GPU leaves undefined and
// hardware tends to forgive ends the process here with one line: kernel, block, thread, line, what was expected.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cuda/device_kernel.h"
#include "kernels/cuda/emulator/device_calls.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline

#define threadIdx (::atoll::kernels::emulated::Current().thread)
#define blockIdx (::atoll::kernels::emulated::Current().block)
#define blockDim (::atoll::kernels::emulated::Current().block_dim)
#define gridDim (::atoll::kernels::emulated::Current().grid_dim)

namespace atoll::kernels {

struct alignas(8) uint2 { uint32_t x, y; };
struct alignas(16) uint4 { uint32_t x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

#define ATOLL_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(ATOLL_SITE) { emulated::SyncThreads({file, line}); }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, ATOLL_SITE) { emulated::SyncWarp(mask, {file, line}); }
inline void __threadfence() {}
inline void __threadfence_block() {}

// Shuffles, for values of 4 or 8 bytes.
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int = 32, ATOLL_SITE) {
  return emulated::Shuffle(mask, value, source & 31, "__shfl_sync", {file, line});
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int = 32, ATOLL_SITE) {
  return emulated::Shuffle(mask, value, emulated::Lane() ^ lanes, "__shfl_xor_sync", {file, line});
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int = 32, ATOLL_SITE) {
  const int source = emulated::Lane() - static_cast<int>(lanes);
  return emulated::Shuffle(mask, value, source < 0 ? emulated::Lane() : source, "__shfl_up_sync", {file, line});
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int = 32, ATOLL_SITE) {
  const int source = emulated::Lane() + static_cast<int>(lanes);
  return emulated::Shuffle(mask, value, source > 31 ? emulated::Lane() : source, "__shfl_down_sync", {file, line});
}

inline unsigned __ballot_sync(unsigned mask, int vote, ATOLL_SITE) { return emulated::Ballot(mask, vote != 0, {file, line}); }
inline int __any_sync(unsigned mask, int vote, ATOLL_SITE) { return emulated::Ballot(mask, vote != 0, {file, line}) != 0; }
inline int __all_sync(unsigned mask, int vote, ATOLL_SITE) { return emulated::Ballot(mask, vote != 0, {file, line}) == mask; }

// Atomics return the value before.
inline int atomicAdd(int* at, int value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }
inline unsigned atomicAdd(unsigned* at, unsigned value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }
inline unsigned long long atomicAdd(unsigned long long* at, unsigned long long value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }
template <typename T>
T atomicExch(T* at, T value) { return __atomic_exchange_n(at, value, __ATOMIC_RELAXED); }
template <typename T>
T atomicCAS(T* at, T expected, T value) {
  __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
template <typename T>
T atomicMax(T* at, T value) {
  T seen = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (seen < value && !__atomic_compare_exchange_n(at, &seen, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  return seen;
}
template <typename T>
T atomicMin(T* at, T value) {
  T seen = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (value < seen && !__atomic_compare_exchange_n(at, &seen, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  return seen;
}

#undef ATOLL_SITE

template <typename T>
T __ldg(const T* from) { return *from; }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }
inline int __ffs(int bits) { return bits == 0 ? 0 : std::countr_zero(static_cast<unsigned>(bits)) + 1; }
using std::max;
using std::min;

}  // namespace atoll::kernels
