#pragma once

// cp.async for *_cuda.cu: copies of 16 bytes from device to shared memory that overlap with arithmetic.
//
//   CopyAsync16(to, from);  ...  CommitCopies();  ...  AwaitCopies<1>();  __syncthreads();
//
// A thread's copies belong to its next CommitCopies. AwaitCopies<N> returns when all but this thread's N youngest groups have arrived; the
// other threads see them after the next __syncthreads. A thread must have awaited all of its groups before it ends.

#include "kernels/cuda/device_code.h"

namespace atoll::kernels {
namespace {

// Both addresses aligned to 16 bytes. With `there` false, nothing is read and 16 zero bytes are stored (rows beyond the end).
ATOLL_DEVICE void CopyAsync16(void* to, const void* from, bool there = true) {
#ifdef __CUDACC__
  const unsigned shared = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared), "l"(from), "r"(there ? 16 : 0) : "memory");
#else
  emulated::BeginAsyncCopy(to, from, there ? 16 : 0, there ? 0 : 16);
#endif
}

ATOLL_DEVICE void CommitCopies() {
#ifdef __CUDACC__
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#else
  emulated::CommitAsyncCopies();
#endif
}

template <int kGroupsLeft>
ATOLL_DEVICE void AwaitCopies() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kGroupsLeft) : "memory");
#else
  emulated::AwaitAsyncCopies(kGroupsLeft);
#endif
}

}  // namespace
}  // namespace atoll::kernels
