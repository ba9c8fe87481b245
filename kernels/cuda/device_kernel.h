#pragma once

// What a launch needs to know of a kernel: one name, its compiled forms. Plain C++, included by both sides.

#include <cstddef>
#include <cstdint>
#include <type_traits>

#ifdef __CUDACC__
#define ATOLL_BOTH_SIDES __host__ __device__
#else
#define ATOLL_BOTH_SIDES
#endif

namespace atoll::kernels {

// An address in device memory, for the params of kernels. It comes from a buffer (runtime.h) or from DeviceStream::Reach, which checks it.
template <typename T>
class DevicePtr {
 public:
  constexpr DevicePtr() = default;
  ATOLL_BOTH_SIDES explicit constexpr DevicePtr(T* address) : address_(address) {}
  template <typename U>
    requires(std::is_same_v<const U, T>)
  ATOLL_BOTH_SIDES constexpr DevicePtr(DevicePtr<U> other) : address_(other.address()) {}

  // For kernels alone: host code must not follow it.
  ATOLL_BOTH_SIDES constexpr T* address() const { return address_; }
  ATOLL_BOTH_SIDES constexpr T& operator[](int64_t index) const { return address_[index]; }
  ATOLL_BOTH_SIDES constexpr DevicePtr operator+(int64_t count) const { return DevicePtr(address_ + count); }
  ATOLL_BOTH_SIDES constexpr explicit operator bool() const { return address_ != nullptr; }

 private:
  T* address_ = nullptr;
};

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
};

struct LaunchShape {
  Dim3 grid = {};
  Dim3 block = {};
  int64_t shared_bytes = 0;   // dynamic shared memory
};

inline constexpr size_t kKernelParamsBytes = 4096;
inline constexpr int64_t kStaticSharedBytes = 48 * 1024;
inline constexpr int64_t kBlockSharedBytes = 227 * 1024;   // static and dynamic together, sm_90
inline constexpr uint32_t kBlockThreads = 1024;

struct KernelImage {
  const char* name = nullptr;
  uint32_t threads_max = 0;                         // of one block
  size_t params_bytes = 0;
  const void* (*cuda)() = nullptr;                  // its nvcc form; null in a build without a toolkit
  void (*emulated)(const void* params) = nullptr;   // one thread of it
};

template <typename Params>
struct DeviceKernel : KernelImage {
  static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kKernelParamsBytes);
};

}  // namespace atoll::kernels

#ifdef ATOLL_CUDA
#define ATOLL_CUDA_IMAGE(name) &name##CudaImage
#else
#define ATOLL_CUDA_IMAGE(name) nullptr
#endif

// Declares k##name, a DeviceKernel<Params>, of which no block has more than `threads` threads; device_code.h has the whole contract.
#define ATOLL_DECLARE_KERNEL(name, threads, Params)                                                                            \
  const void* name##CudaImage();                                                                                               \
  void name##Emulated(const Params& params);                                                                                   \
  inline constexpr ::atoll::kernels::DeviceKernel<Params> k##name{                                                             \
      {#name, threads, sizeof(Params), ATOLL_CUDA_IMAGE(name), [](const void* params) { name##Emulated(*static_cast<const Params*>(params)); }}}
