#pragma once

// What every kernel gets first: which instruction set to use and who shares the work. No result depends on either.

#include "kernels/cpu/compute_pool.h"
#include "kernels/isa.h"

namespace atoll::kernels {

struct Context {
  Isa isa = Isa::kReference;
  ComputePool* pool = nullptr;   // null: the calling thread only
};

// Runs body(block, thread) once for every block in [0, blocks), with denormals flushed, on the pool or on this thread.
inline void ParallelFor(const Context& context, int64_t blocks, BlockBody body) {
  if (context.pool != nullptr) return context.pool->ParallelFor(blocks, body);
  FlushDenormals flush;
  for (int64_t block = 0; block < blocks; ++block) body(block, 0);
}

inline int Threads(const Context& context) { return context.pool == nullptr ? 1 : context.pool->threads(); }

}  // namespace atoll::kernels
