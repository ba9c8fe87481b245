#pragma once

#include <cstdint>

// The functions of kernels/math/float_functions.h over arrays whose length is a multiple of 16, once per kind of lanes.
namespace atoll::kernels::testing {

struct MathArrays {
  void (*exp)(const float* x, int64_t count, float* y);
  void (*log)(const float* x, int64_t count, float* y);
  void (*log1p)(const float* x, int64_t count, float* y);
  void (*sine)(const float* x, int64_t count, float* y);
  void (*cosine)(const float* x, int64_t count, float* y);
  void (*round_bf16)(const float* x, int64_t count, uint16_t* y);   // null for scalar lanes
  float (*sum_tree)(const float* x);                                // null for scalar lanes
  void (*zip_unzip)(const float* x, float* even, float* odd, float* together);   // 32 numbers; null for scalar lanes
  void (*transpose)(const float* x, float* y);                      // [16, 16]; null for scalar lanes
};

extern const MathArrays kScalarArrays;
extern const MathArrays kAvx2Arrays;
extern const MathArrays kAvx512Arrays;

}  // namespace atoll::kernels::testing
