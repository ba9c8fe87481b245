#pragma once

// Inputs of the numerics self-test, the same in every process, and the hash of its outputs. Thread-compatible.

#include <cstdint>
#include <span>
#include <vector>

#include "base/matrix_view.h"
#include "kernels/cpu/huge_buffer.h"
#include "node/packed_shard.h"

namespace atoll::node {

class SelfTestData {
 public:
  explicit SelfTestData(const kernels::Context& context) : context_(context) {}
  uint64_t hash() const { return hash_; }

 protected:
  // A matrix with its memory.
  struct Matrix {
    std::vector<std::byte> bytes;
    MatrixView view;
  };

  Matrix Zeros(int64_t rows, int64_t cols, DType dtype) {
    Matrix matrix{std::vector<std::byte>(static_cast<size_t>(rows * cols * DTypeBytes(dtype))), {}};
    matrix.view = {matrix.bytes.data(), dtype, rows, cols, cols};
    return matrix;
  }

  Matrix Random(int64_t rows, int64_t cols, DType dtype) {
    Matrix matrix = Zeros(rows, cols, dtype);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t col = 0; col < cols; ++col) {
        const float value = NextValue();
        if (dtype == DType::kF32) matrix.view.RowAs<float>(row)[col] = value;
        if (dtype == DType::kBF16) matrix.view.RowAs<BFloat16>(row)[col] = ToBFloat16(value);
        if (dtype == DType::kF8E4M3) matrix.view.RowAs<uint8_t>(row)[col] = FloatToE4M3(value);
      }
    }
    return matrix;
  }

  std::vector<float> RandomVector(int64_t size) {
    std::vector<float> values(static_cast<size_t>(size));
    for (float& value : values) value = NextValue();
    return values;
  }

  // In [-4, 4), of many magnitudes; a Weyl sequence, mixed.
  float NextValue() {
    const uint64_t bits = Mix(seed_ += 0x9E3779B97F4A7C15u);
    const float fraction = static_cast<float>(bits >> 40) / 16777216.0f - 0.5f;
    return fraction * static_cast<float>(1 << (bits & 3));
  }

  static uint64_t Mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  }

  void Hash(std::span<const std::byte> bytes) {
    for (std::byte byte : bytes) hash_ = Mix(hash_ ^ static_cast<uint64_t>(byte)) + 1;
  }
  void Hash(const Matrix& matrix) { Hash(matrix.bytes); }
  template <typename T>
  void HashAll(const std::vector<T>& values) {
    Hash(std::as_bytes(std::span(values)));
  }

  // Packed weights stay in pack_memory_ until the test ends.
  absl::StatusOr<kernels::PackedMatrix> Pack(int64_t outputs, int64_t inputs, DType dtype) {
    const Matrix source = Random(outputs, inputs, dtype);
    std::vector<float> scales = RandomVector((outputs + 127) / 128 * ((inputs + 127) / 128));
    for (float& scale : scales) scale = scale * scale + 0.01f;
    kernels::PackSource pack{.dtype = dtype, .data = source.bytes.data(), .row_stride = inputs};
    pack.rows = outputs;
    pack.cols = inputs;
    if (dtype == DType::kF8E4M3) {
      pack.scales = scales.data();
      pack.scale_stride = (inputs + 127) / 128;
    }
    kernels::HugeBuffer& memory = pack_memory_.emplace_back(static_cast<size_t>(kernels::PackedBytes(pack)));
    kernels::PackedMatrix packed;
    ATOLL_RETURN_IF_ERROR(FromKernelError(kernels::PackMatrix(context_, pack, memory.span(), &packed), "self-test of pack"));
    return packed;
  }

 private:
  const kernels::Context context_;
  std::vector<kernels::HugeBuffer> pack_memory_;
  uint64_t seed_ = 1;
  uint64_t hash_ = 0;
};

}  // namespace atoll::node
