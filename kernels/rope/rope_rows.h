#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace atoll::kernels {

// What turns a row.
struct RopeAngles {
  const float* frequencies = nullptr;
  int64_t pairs = 0;
  float magnitude = 1;
  bool interleaved = true;
};

// Turns `heads` vectors of 2 * pairs elements at x, x + x_stride, ... by one position, into out, out + 2 * pairs, ...
struct RopeRow {
  const float* x = nullptr;
  int64_t x_stride = 0;
  int64_t heads = 1;
  float position = 0;
  bool bf16 = true;     // out's type; else float32
  void* out = nullptr;
};
// Copies `width` elements of `heads` vectors, rounded.
struct CopyRow {
  const float* x = nullptr;
  int64_t x_stride = 0;
  int64_t heads = 1;
  int64_t width = 0;
  bool bf16 = true;
  void* out = nullptr;
};

void RotateReference(const RopeAngles& angles, const RopeRow& row);
void RotateAvx2(const RopeAngles& angles, const RopeRow& row);
void RotateAvx512(const RopeAngles& angles, const RopeRow& row);
void CopyReference(const CopyRow& row);
void CopyAvx2(const CopyRow& row);
void CopyAvx512(const CopyRow& row);

}  // namespace atoll::kernels
