#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace atoll::kernels {

// Passes over one row of numbers. Denormals must be flushed by the caller.
struct RowSums {
  // The largest of x (-infinity of none); *finite: whether all of them are finite.
  float (*max)(const float* x, int64_t count, bool* finite);
  // Exp(x_i - max) in 16 lanes (element i in lane i % 16), ascending, then the tree of rms_norm.h.
  float (*sum_exp)(const float* x, int64_t count, float max);
};

extern const RowSums kRowSumsReference;
extern const RowSums kRowSumsAvx2;
extern const RowSums kRowSumsAvx512;

const RowSums& RowSumsOf(Isa isa);

}  // namespace atoll::kernels
