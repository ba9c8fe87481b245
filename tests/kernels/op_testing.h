#pragma once

// Matrices for tests of kernels: filled from a seed, embedded in poison, compared byte by byte.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/matrix_view.h"
#include "kernels/context.h"

namespace atoll::kernels::testing {

inline std::vector<Isa> HostIsas() {
  std::vector<Isa> isas;
  for (Isa isa : {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
    if (HostSupports(isa)) isas.push_back(isa);
  }
  return isas;
}

// [rows, cols] with a stride that is wider by `pad`; all bytes start as 0xFF, a NaN in every float type, the pads stay so.
class TestMatrix {
 public:
  TestMatrix(DType dtype, int64_t rows, int64_t cols, int64_t pad = 3)
      : bytes_(static_cast<size_t>(rows * (cols + pad) * DTypeBytes(dtype)) + 64, 0xFF), view_{bytes_.data(), dtype, rows, cols, cols + pad} {}
  TestMatrix(const TestMatrix&) = delete;

  MatrixView view() { return view_; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  void Set(int64_t row, int64_t col, float value) {
    if (view_.dtype == DType::kBF16) {
      view_.RowAs<BFloat16>(row)[col] = ToBFloat16(value);
    } else {
      view_.RowAs<float>(row)[col] = value;
    }
  }
  float Get(int64_t row, int64_t col) const {
    return view_.dtype == DType::kBF16 ? ToFloat(view_.RowAs<BFloat16>(row)[col]) : view_.RowAs<float>(row)[col];
  }
  TestMatrix& FillNormal(std::mt19937& random, float scale = 1) {
    std::normal_distribution<float> normal(0, scale);
    for (int64_t row = 0; row < view_.rows; ++row) {
      for (int64_t col = 0; col < view_.cols; ++col) Set(row, col, normal(random));
    }
    return *this;
  }
  // The bytes outside the logical shape, for checks that nobody wrote there.
  bool PadsUntouched() const {
    std::vector<uint8_t> copy = bytes_;
    for (int64_t row = 0; row < view_.rows; ++row) {
      std::memset(copy.data() + row * view_.stride * DTypeBytes(view_.dtype), 0xFF, view_.cols * DTypeBytes(view_.dtype));
    }
    return std::all_of(copy.begin(), copy.end(), [](uint8_t b) { return b == 0xFF; });
  }

 private:
  std::vector<uint8_t> bytes_;
  MatrixView view_;
};

inline std::vector<float> NormalVector(std::mt19937& random, int64_t count, float scale = 1, float mean = 0) {
  std::normal_distribution<float> normal(mean, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

template <typename T>
bool SameBytes(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace atoll::kernels::testing
