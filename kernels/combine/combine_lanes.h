#pragma once

// The row of combine.h over sixteen lanes; the lanes header comes before.

#include "kernels/combine/combine_rows.h"
#include "kernels/math/lanes_io.h"

namespace atoll::kernels {
namespace {

inline bool CombineLanes(const CombineRow& row) {
  const F largest = FromBits(SplatInt(0x7F7FFFFF));
  uint32_t finite = 0xFFFF;
  for (int64_t i = 0; i < row.width; i += 16) {
    const int64_t count = row.width - i;
    F acc = Splat(0.0f);
    F peak = Splat(0.0f);
    for (int64_t slot = 0; slot < row.slots; ++slot) {
      const F y = LoadElements(row.bf16, row.expert_rows[slot], i, count);
      peak = Max(FromBits(And(Bits(y), SplatInt(0x7FFFFFFF))), peak);
      finite &= ~MaskBits(IsNan(y));   // a maximum forgets a NaN
      acc = Fma(Splat(row.weights[slot]), y, acc);
    }
    finite &= ~MaskBits(Less(largest, peak));
    if (row.shared != nullptr) acc = Add(acc, LoadElements(false, row.shared, i, count));
    StoreElements(false, row.residual, i, Add(LoadElements(false, row.residual, i, count), acc), count);
  }
  return (finite & 0xFFFF) == 0xFFFF;
}

}  // namespace
}  // namespace atoll::kernels
