#pragma once

// The rows of rope.h over sixteen lanes; the lanes header comes before.

#include "kernels/math/float_functions.h"
#include "kernels/math/lanes_io.h"
#include "kernels/rope/rope_rows.h"

namespace atoll::kernels {
namespace {

inline F Negate(F x) { return FromBits(Xor(Bits(x), SplatInt(INT32_MIN))); }

// Pairs i .. i + 15 of one vector; `count` of them exist.
inline void RotatePairs(const RopeAngles& angles, const float* x, int64_t i, int64_t count, F c, F s, F* first, F* second) {
  F a, b;
  if (angles.interleaved) {
    const F low = LoadElements(false, x, 2 * i, 2 * count);
    const F high = 2 * count > 16 ? LoadElements(false, x, 2 * i + 16, 2 * count - 16) : Splat(0.0f);
    Unzip(low, high, &a, &b);
  } else {
    a = LoadElements(false, x, i, count);
    b = LoadElements(false, x, angles.pairs + i, count);
  }
  *first = Fma(a, c, Negate(Mul(b, s)));
  *second = Fma(a, s, Mul(b, c));
}

inline void StorePairs(const RopeAngles& angles, bool bf16, void* out, int64_t base, int64_t i, int64_t count, F first, F second) {
  if (angles.interleaved) {
    F low, high;
    Zip(first, second, &low, &high);
    StoreElements(bf16, out, base + 2 * i, low, 2 * count);
    if (2 * count > 16) StoreElements(bf16, out, base + 2 * i + 16, high, 2 * count - 16);
  } else {
    StoreElements(bf16, out, base + i, first, count);
    StoreElements(bf16, out, base + angles.pairs + i, second, count);
  }
}

inline void RotateLanes(const RopeAngles& angles, const RopeRow& row) {
  for (int64_t i = 0; i < angles.pairs; i += 16) {
    const int64_t count = angles.pairs - i < 16 ? angles.pairs - i : 16;
    F s, c;
    SinCos(Mul(Splat(row.position), LoadElements(false, angles.frequencies, i, count)), &s, &c);
    s = Mul(s, Splat(angles.magnitude));
    c = Mul(c, Splat(angles.magnitude));
    for (int64_t head = 0; head < row.heads; ++head) {
      F first, second;
      RotatePairs(angles, row.x + head * row.x_stride, i, count, c, s, &first, &second);
      StorePairs(angles, row.bf16, row.out, head * 2 * angles.pairs, i, count, first, second);
    }
  }
}

inline void CopyLanes(const CopyRow& row) {
  for (int64_t head = 0; head < row.heads; ++head) {
    for (int64_t i = 0; i < row.width; i += 16) {
      const int64_t count = row.width - i;
      StoreElements(row.bf16, row.out, head * row.width + i, LoadElements(false, row.x + head * row.x_stride, i, count), count);
    }
  }
}

}  // namespace
}  // namespace atoll::kernels
