// The specification: the order of operations of linear.h in plain loops. std::fma rounds once whatever the compiler may use.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/linear/panel.h"

namespace atoll::kernels {
namespace {

constexpr int64_t kOutputs = 64;    // lanes of a panel
constexpr int64_t kBlock = 128;     // inputs under one scale

template <typename T>
T Load(const char* from, int64_t index) {
  T value;
  std::memcpy(&value, from + index * int64_t{sizeof value}, sizeof value);
  return value;
}

float LoadX(const PanelRun& run, int64_t row, int64_t k) {
  const char* x = run.x + (run.x_rows == nullptr ? row : run.x_rows[row]) * run.x_stride;
  return run.x_dtype == DType::kBF16 ? ToFloat(Load<BFloat16>(x, k)) : Load<float>(x, k);
}

// Element 0 or 1 of a pair: the layout of packed_matrix.h.
float LoadWeight(const PanelRun& run, int64_t pair, int64_t lane, int64_t element) {
  switch (run.weight_dtype) {
    case DType::kF32: return Load<float>(run.weights, (pair * 2 + element) * kOutputs + lane);
    case DType::kBF16: return ToFloat(Load<BFloat16>(run.weights, (pair * kOutputs + lane) * 2 + element));
    default: break;
  }
  const int64_t half = lane / 32, in_half = lane % 32;
  const int64_t byte = half * 64 + 16 * (in_half % 16 / 4) + 8 * (in_half / 16) + 2 * (in_half % 4) + element;
  return E4M3ToFloat(kE4M3Packing.code[Load<uint8_t>(run.weights, pair * kOutputs * 2 + byte)]);
}

float Dot(const PanelRun& run, int64_t row, int64_t lane) {
  const bool scaled = run.weight_dtype == DType::kF8E4M3;
  float total = 0.0f;
  int64_t pair = 0;
  for (int64_t k = 0, length = 0, block = 0; k < run.inputs; k += length, ++block) {
    length = std::min(run.inputs - k, scaled ? kBlock : run.inputs);
    if (k == 0 && run.first_inputs > 0) length = run.first_inputs;
    float acc = 0.0f;
    for (int64_t i = 0; i < length; i += 2, ++pair) {
      const float odd = i + 1 < length ? LoadX(run, row, k + i + 1) : 0.0f;
      acc = std::fma(LoadWeight(run, pair, lane, 1), odd, acc);
      acc = std::fma(LoadWeight(run, pair, lane, 0), LoadX(run, row, k + i), acc);
    }
    total = scaled ? std::fma(run.heads[block].scale, acc, total) : acc;
  }
  return total;
}

void Store(const PanelRun& run, int64_t row, int64_t lane, float value) {
  char* const y = run.y + row * run.y_stride;
  if (run.y_dtype == DType::kBF16) {
    const BFloat16 rounded = ToBFloat16(value);
    std::memcpy(y + lane * 2, &rounded, sizeof rounded);
    return;
  }
  if (run.add) value = Load<float>(y, lane) + value;
  std::memcpy(y + lane * 4, &value, sizeof value);
}

}  // namespace

void PanelReference(const PanelRun& run) {
  for (int64_t row = 0; row < run.rows; ++row) {
    for (int64_t lane = 0; lane < run.width; ++lane) Store(run, row, lane, Dot(run, row, lane));
  }
}

}  // namespace atoll::kernels
