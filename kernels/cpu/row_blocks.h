#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/context.h"

namespace atoll::kernels {

// Runs body(row) for every row, in blocks that are worth waking a thread for; few small rows stay on the calling thread.
template <typename Body>
void ForRows(const Context& context, int64_t rows, int64_t row_elements, const Body& body) {
  constexpr int64_t kBlockElements = 16384;
  const int64_t block_rows = std::max<int64_t>(1, kBlockElements / std::max<int64_t>(1, row_elements));
  const int64_t blocks = (rows + block_rows - 1) / block_rows;
  const Context where = blocks > 1 ? context : Context{context.isa, nullptr};
  ParallelFor(where, blocks, [&](int64_t block, int) {
    const int64_t end = std::min(rows, (block + 1) * block_rows);
    for (int64_t row = block * block_rows; row < end; ++row) body(row);
  });
}

}  // namespace atoll::kernels
