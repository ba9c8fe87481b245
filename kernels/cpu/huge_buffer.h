#pragma once

#include <cstddef>
#include <span>

namespace atoll::kernels {

// Anonymous zeroed memory that asks for huge pages (a read stream is 1.4 to 1.6 times as fast with them); where the kernel
// gives none it is ordinary memory. Owns the mapping; thread-compatible. Aligned to 64 bytes at least, to 2 MiB from 2 MiB on.
class HugeBuffer {
 public:
  HugeBuffer() = default;
  // Throws std::bad_alloc when the address space has no room.
  explicit HugeBuffer(size_t bytes);
  ~HugeBuffer() { Free(); }
  HugeBuffer(HugeBuffer&& other) noexcept { Swap(other); }
  HugeBuffer& operator=(HugeBuffer&& other) noexcept {
    HugeBuffer old(static_cast<HugeBuffer&&>(*this));
    Swap(other);
    return *this;
  }

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  std::span<std::byte> span() const { return {data_, bytes_}; }
  template <typename T>
  T* as() const { return reinterpret_cast<T*>(data_); }

 private:
  void Free();
  void Swap(HugeBuffer& other) noexcept;

  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  size_t mapped_bytes_ = 0;   // from data_ on
};

}  // namespace atoll::kernels
