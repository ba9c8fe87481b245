#pragma once

// Operands of checked ops: bytes on the host and, where a device is checked, as many there.

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "base/matrix_view.h"
#include "kernels/cuda/device.h"

namespace atoll::kernels::check {

enum class Place : uint8_t { kHost, kDevice };

// Owned by its case. On the device it lives as long as this.
class Array {
 public:
  // `device` is null where the CPU is checked.
  static KernelError Make(Device* device, int64_t bytes, Array* array);

  int64_t bytes() const { return static_cast<int64_t>(host_.size()); }
  std::byte* At(Place place) const { return place == Place::kHost ? const_cast<std::byte*>(host_.data()) : device_.data(); }
  template <typename T>
  std::span<T> Span(Place place) const { return {reinterpret_cast<T*>(At(place)), host_.size() / sizeof(std::remove_const_t<T>)}; }
  MatrixView Matrix(Place place, DType dtype, int64_t rows, int64_t cols) const { return {At(place), dtype, rows, cols, cols}; }

  void FillNormal(std::mt19937& random, DType dtype, float scale = 1);   // kF32, kBF16 or kF8E4M3
  void Poison() { std::fill(host_.begin(), host_.end(), std::byte{0xFF}); }

 private:
  std::vector<std::byte> host_;
  DeviceBuffer device_;
};

}  // namespace atoll::kernels::check
