#pragma once

// mma.sync and ldmatrix for *_cuda.cu. All 32 lanes of a warp call together. Fragments, with g = lane / 4 and t = lane % 4; a register holds
// two bf16, the lower index in its lower half:
//
//   A [16, 16]  a[0] = (g, 2t..2t+1)   a[1] = (g + 8, 2t..2t+1)   a[2] = (g, 2t+8..2t+9)   a[3] = (g + 8, 2t+8..2t+9)
//   B [16, 8]   b[0] = (2t..2t+1, g)   b[1] = (2t+8..2t+9, g)     (row: k, column: n)
//   D [16, 8]   d[0] = (g, 2t)  d[1] = (g, 2t + 1)  d[2] = (g + 8, 2t)  d[3] = (g + 8, 2t + 1)
//
// Order of the sums: the hardware's is its own, fixed per instruction and the same for every row and column, which is all that promise P1
// asks of one numerics class. The emulator's: acc = fma(a[k], b[k], acc) in float32, k ascending from 0 to 15, beginning with d. The two
// classes agree within the tolerance of an op, not in bits.

#include "kernels/cuda/device_code.h"

namespace atoll::kernels {
namespace {

// d += a b, m16n8k16, bf16 operands, float32 sums.
#ifdef __CUDACC__
ATOLL_DEVICE void MmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else
inline void MmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulated::Mma16816(d, a, b, {file, line});
}
#endif

// ldmatrix.x4: four 8 x 8 matrices of bf16 in shared memory; lane l gives the address of row l % 8 (16 bytes, aligned) of matrix l / 8. Lane
// l gets in d[i] elements (g, 2t) and (g, 2t + 1) of matrix i; transposed: (2t, g) and (2t + 1, g).
#ifdef __CUDACC__
template <bool kTransposed>
ATOLL_DEVICE void LoadMatrices(uint32_t (&d)[4], const void* row) {
  const unsigned shared = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]) : "r"(shared) : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]) : "r"(shared) : "memory");
  }
}
#else
template <bool kTransposed>
void LoadMatrices(uint32_t (&d)[4], const void* row, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulated::LoadMatrix4(d, row, kTransposed, {file, line});
}
#endif

// Two e4m3 codes (lower index in the lower byte) as two bf16, exactly; NaN codes become NaN.
ATOLL_DEVICE uint32_t Bf16PairOfE4M3(uint32_t codes) {
#ifdef __CUDACC__
  uint32_t halves, pair;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;\n" : "=r"(halves) : "h"(static_cast<uint16_t>(codes)));
  asm("{.reg .b16 l, h; .reg .f32 a, b; mov.b32 {l, h}, %1; cvt.f32.f16 a, l; cvt.f32.f16 b, h; cvt.rn.bf16x2.f32 %0, b, a;}\n"
      : "=r"(pair) : "r"(halves));
  return pair;
#else
  const uint32_t low = ToBFloat16(E4M3ToFloat(static_cast<uint8_t>(codes))).bits;
  return low | static_cast<uint32_t>(ToBFloat16(E4M3ToFloat(static_cast<uint8_t>(codes >> 8))).bits) << 16;
#endif
}

// Two float32 as two bf16, `low` in the lower half, by ToBFloat16's rounding.
ATOLL_DEVICE uint32_t Bf16Pair(float low, float high) {
  return ToBFloat16(low).bits | static_cast<uint32_t>(ToBFloat16(high).bits) << 16;
}

}  // namespace
}  // namespace atoll::kernels
