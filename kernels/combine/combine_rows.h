#pragma once

#include <cstdint>

namespace atoll::kernels {

struct CombineRow {
  const void* const* expert_rows = nullptr;   // [slots]
  const float* weights = nullptr;             // [slots]
  int64_t slots = 0;
  bool bf16 = true;                           // type of the expert rows; else float32
  const float* shared = nullptr;              // null: none
  float* residual = nullptr;
  int64_t width = 0;
};

// True where every element of every expert row is finite.
bool CombineReference(const CombineRow& row);
bool CombineAvx2(const CombineRow& row);
bool CombineAvx512(const CombineRow& row);

}  // namespace atoll::kernels
