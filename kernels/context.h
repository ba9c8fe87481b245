#pragma once

// What every kernel gets first: which instruction set to use and who shares the work, on which no result depends, or the stream of a device.

#include "kernels/cpu/compute_pool.h"
#include "kernels/isa.h"

namespace atoll::kernels {

class DeviceStream;   // cuda/runtime.h

struct Context {
  Isa isa = Isa::kReference;
  ComputePool* pool = nullptr;      // null: the calling thread only
  DeviceStream* stream = nullptr;   // null: the CPU; else operands lie in device memory and the work is queued there
};

// Runs body(block, thread) once for every block in [0, blocks), with denormals flushed, on the pool or on this thread.
inline void ParallelFor(const Context& context, int64_t blocks, BlockBody body) {
  if (context.pool != nullptr) return context.pool->ParallelFor(blocks, body);
  FlushDenormals flush;
  for (int64_t block = 0; block < blocks; ++block) body(block, 0);
}

inline int Threads(const Context& context) { return context.pool == nullptr ? 1 : context.pool->threads(); }

}  // namespace atoll::kernels
