#pragma once

// Inside of linear: some rows times one panel of weights, the unit that threads claim. The numerics stand in linear.h.
// The instruction-set files include this, so it holds plain data and declarations only: an inline function compiled there
// could be the copy that the linker keeps for everybody.

#include <cstdint>

#include "base/dtype.h"
#include "kernels/isa.h"
#include "kernels/linear/e4m3_packing.h"

namespace atoll::kernels {

inline constexpr int64_t kPanelRowsMax = 128;   // of one PanelRun: bounds the fast kernels' scratch on the stack

struct PanelRun {
  DType weight_dtype = DType::kBF16;
  DType x_dtype = DType::kBF16;
  DType y_dtype = DType::kF32;
  bool add = false;                 // y float32
  const char* weights = nullptr;    // the panel's first pair
  const KBlockHead* heads = nullptr;   // fp8: one per k block
  int64_t inputs = 0;
  int64_t first_inputs = 0;         // length of the first k block where it is a short one, else 0
  int64_t width = 0;                // outputs, at most 64
  int64_t rows = 0;                 // at most kPanelRowsMax
  const char* x = nullptr;
  int64_t x_stride = 0;             // bytes
  const int32_t* x_rows = nullptr;  // row r is row x_rows[r] of x; null: row r
  char* y = nullptr;                // its first of `width` outputs
  int64_t y_stride = 0;             // bytes
};

using PanelFunction = void (*)(const PanelRun&);

void PanelReference(const PanelRun& run);
void PanelAvx2(const PanelRun& run);
void PanelAvx512(const PanelRun& run);
void PanelAvx512Vbmi(const PanelRun& run);
void PanelAvx512Bf16(const PanelRun& run);

PanelFunction ChoosePanel(Isa isa);

}  // namespace atoll::kernels
