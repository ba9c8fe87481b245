#pragma once

// Random weights and rows with everything that can go wrong around them: NaN beyond every row's end, a guard around every
// result. Used by the tests of linear and of grouped experts.

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/cpu/huge_buffer.h"
#include "kernels/linear/linear.h"

namespace atoll::kernels {

inline std::vector<Isa> HostIsas() {
  std::vector<Isa> isas;
  for (Isa isa : {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
    if (HostSupports(isa)) isas.push_back(isa);
  }
  return isas;
}

// A matrix whose rows are longer than it is wide, NaN there; every twentieth element is a zero or a denormal.
class TestMatrix {
 public:
  static constexpr int64_t kSpare = 3;

  TestMatrix(DType dtype, int64_t rows, int64_t cols) : dtype_(dtype), rows_(rows), cols_(cols), bytes_(rows * (cols + kSpare) * DTypeBytes(dtype), std::byte{0xFF}) {}

  void Fill(std::mt19937& random) {
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = 0; c < cols_; ++c) Set(r, c, Draw(random));
    }
  }
  void Set(int64_t r, int64_t c, float value) {
    std::byte* const at = At(r, c);
    if (dtype_ == DType::kF8E4M3) {
      *at = std::byte{FloatToE4M3(value)};
    } else if (dtype_ == DType::kBF16) {
      // Truncated, not rounded, so that denormals stay what they are.
      const uint16_t bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
      std::memcpy(at, &bits, 2);
    } else {
      std::memcpy(at, &value, 4);
    }
  }
  float Get(int64_t r, int64_t c) const {
    const std::byte* const at = const_cast<TestMatrix*>(this)->At(r, c);
    if (dtype_ == DType::kF8E4M3) return E4M3ToFloat(std::to_integer<uint8_t>(*at));
    if (dtype_ == DType::kBF16) {
      BFloat16 value;
      std::memcpy(&value, at, 2);
      return ToFloat(value);
    }
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
  MatrixView view() { return {bytes_.data(), dtype_, rows_, cols_, stride()}; }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  int64_t stride() const { return cols_ + kSpare; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  DType dtype() const { return dtype_; }

 private:
  std::byte* At(int64_t r, int64_t c) { return bytes_.data() + (r * stride() + c) * DTypeBytes(dtype_); }
  float Draw(std::mt19937& random) const {
    std::normal_distribution<float> normal;
    const uint32_t draw = random();
    if (draw % 40 == 0) return draw & 0x40000000 ? -0.0f : 0.0f;
    if (draw % 40 == 1) return dtype_ == DType::kF8E4M3 ? 0.004f : std::bit_cast<float>((draw & 0x80000000u) | 0x00030000u);
    return normal(random) * (dtype_ == DType::kF8E4M3 ? 30.0f : 1.0f);
  }

  DType dtype_;
  int64_t rows_, cols_;
  std::vector<std::byte> bytes_;
};

// A whole weight as a checkpoint has it.
struct TestWeight {
  TestMatrix matrix;
  std::vector<float> scales;   // [blocks of rows][blocks of columns], fp8 only

  TestWeight(DType dtype, int64_t rows, int64_t cols, std::mt19937& random) : matrix(dtype, rows, cols) {
    matrix.Fill(random);
    if (dtype != DType::kF8E4M3) return;
    scales.resize(((rows + 127) / 128) * ScaleStride());
    for (float& scale : scales) scale = 0.001f + 0.01f * static_cast<float>(random() % 1000) / 1000.0f;
  }
  int64_t ScaleStride() const { return (matrix.cols() + 127) / 128; }
  float Scale(int64_t r, int64_t c) const { return scales.empty() ? 1.0f : scales[r / 128 * ScaleStride() + c / 128]; }
  PackSource Source() {
    return {.dtype = matrix.dtype(), .data = matrix.view().data, .row_stride = matrix.stride(),
            .scales = scales.empty() ? nullptr : scales.data(), .scale_stride = ScaleStride(),
            .row0 = 0, .rows = matrix.rows(), .col0 = 0, .cols = matrix.cols(), .transposed = false};
  }
};

struct TestPacked {
  HugeBuffer buffer;
  PackedMatrix matrix;

  explicit TestPacked(const PackSource& source) : buffer(PackedBytes(source)) {
    const KernelError error = PackMatrix({}, source, buffer.span(), &matrix);
    if (!error.ok()) throw std::invalid_argument(error.text);
  }
};

// Output `output` of one row, straight from the source matrix: the order of linear.h once more, without any layout.
inline float ExpectedDot(const TestWeight& weight, const PackSource& source, const TestMatrix& x, int64_t row, int64_t output) {
  const int64_t inputs = source.transposed ? source.rows : source.cols;
  const int64_t first_k = source.transposed ? source.row0 : source.col0;
  const auto source_row = [&](int64_t k) { return source.row0 + (source.transposed ? k : output); };
  const auto source_col = [&](int64_t k) { return source.col0 + (source.transposed ? output : k); };
  const bool scaled = source.dtype == DType::kF8E4M3;
  float total = 0.0f;
  for (int64_t k = 0; k < inputs;) {
    const int64_t end = scaled ? std::min(inputs, ((first_k + k) / 128 + 1) * 128 - first_k) : inputs;
    const float scale = weight.Scale(source_row(k), source_col(k));
    float acc = 0.0f;
    for (; k < end; k += 2) {
      const bool whole = k + 1 < end;
      acc = std::fma(whole ? weight.matrix.Get(source_row(k + 1), source_col(k + 1)) : 0.0f, whole ? x.Get(row, k + 1) : 0.0f, acc);
      acc = std::fma(weight.matrix.Get(source_row(k), source_col(k)), x.Get(row, k), acc);
    }
    k = end;
    total = scaled ? std::fma(scale, acc, total) : acc;
  }
  return total;
}

// Puts a result where an op would.
inline void PutResult(TestMatrix& y, int64_t r, int64_t c, float value, LinearMode mode) {
  if (mode == LinearMode::kAdd) value = y.Get(r, c) + value;
  y.Set(r, c, y.dtype() == DType::kBF16 ? ToFloat(ToBFloat16(value)) : value);
}

}  // namespace atoll::kernels
