#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace atoll::kernels {

struct RmsNormRow {
  const float* x = nullptr;
  const float* weight = nullptr;
  int64_t width = 0;
  float eps = 0;
  bool bf16 = true;       // out's type; else float32
  void* out = nullptr;
};

void RmsNormReference(const RmsNormRow& row);
void RmsNormAvx2(const RmsNormRow& row);
void RmsNormAvx512(const RmsNormRow& row);

// The row function of an instruction set, for kernels that norm a row on the way. Denormals must be flushed by the caller.
using RmsNormRowFunction = void (*)(const RmsNormRow& row);
RmsNormRowFunction RmsNormRowOf(Isa isa);

}  // namespace atoll::kernels
