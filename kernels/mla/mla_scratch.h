#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

namespace atoll::kernels {

// Hands out 64-byte aligned arrays from a caller's scratch, or, with no scratch, only counts what they would need.
class ScratchLayout {
 public:
  ScratchLayout() = default;
  explicit ScratchLayout(std::span<std::byte> scratch) : base_(scratch.data()) {}

  // `T` must be trivially destructible; elements are default-initialized.
  template <typename T>
  T* Take(int64_t count) {
    const int64_t at = bytes_;
    bytes_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return base_ == nullptr ? nullptr : new (base_ + at) T[count];
  }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* base_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace atoll::kernels
