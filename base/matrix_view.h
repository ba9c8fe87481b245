#pragma once

// A row-major matrix that somebody else owns. Standard library only: kernels/ includes this file.

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace atoll {

// [rows, cols], row r at data + r * stride elements.
struct MatrixView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  std::byte* Row(int64_t row) const { return static_cast<std::byte*>(data) + row * stride * DTypeBytes(dtype); }
  template <typename T>
  T* RowAs(int64_t row) const { return reinterpret_cast<T*>(Row(row)); }
  MatrixView Rows(int64_t first, int64_t count) const { return {Row(first), dtype, count, cols, stride}; }
};

struct ConstMatrixView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  ConstMatrixView() = default;
  ConstMatrixView(const void* d, DType t, int64_t r, int64_t c, int64_t s) : data(d), dtype(t), rows(r), cols(c), stride(s) {}
  ConstMatrixView(const MatrixView& m) : data(m.data), dtype(m.dtype), rows(m.rows), cols(m.cols), stride(m.stride) {}

  const std::byte* Row(int64_t row) const { return static_cast<const std::byte*>(data) + row * stride * DTypeBytes(dtype); }
  template <typename T>
  const T* RowAs(int64_t row) const { return reinterpret_cast<const T*>(Row(row)); }
  ConstMatrixView Rows(int64_t first, int64_t count) const { return {Row(first), dtype, count, cols, stride}; }
};

}  // namespace atoll
