#pragma once

// Reading and writing rows whose element type is known at run time, sixteen elements at a time, over the lanes header included before
// (lanes_avx2.h or lanes_avx512.h). `count` >= 16 means all of them.

namespace atoll::kernels {
namespace {

inline F LoadElements(bool bf16, const void* row, int64_t index, int64_t count) {
  if (bf16) {
    const uint16_t* p = static_cast<const uint16_t*>(row) + index;
    return count >= 16 ? LoadBf16(p) : LoadBf16First(p, count);
  }
  const float* p = static_cast<const float*>(row) + index;
  return count >= 16 ? Load(p) : LoadFirst(p, count);
}

inline void StoreElements(bool bf16, void* row, int64_t index, F x, int64_t count) {
  if (bf16) {
    uint16_t* p = static_cast<uint16_t*>(row) + index;
    return count >= 16 ? StoreBf16(p, x) : StoreBf16First(p, x, count);
  }
  float* p = static_cast<float*>(row) + index;
  return count >= 16 ? Store(p, x) : StoreFirst(p, x, count);
}

}  // namespace
}  // namespace atoll::kernels
