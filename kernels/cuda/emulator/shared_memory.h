#pragma once

// Shared memory of the block that runs: arrays with guards between them, full of NaN until written.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace atoll::kernels::emulated {

// Belongs to the thread of its stream; the fibers of one block call it.
class SharedMemory {
 public:
  SharedMemory();
  ~SharedMemory();

  // A new block: no static array, `dynamic_bytes` of dynamic memory.
  void Reset(size_t dynamic_bytes);
  // The array of `site`; null when it does not fit any more.
  void* Static(const void* site, const char* name, size_t bytes);
  std::byte* Dynamic() { return storage_ + arrays_[0].offset; }

  bool Holds(const void* address, size_t bytes) const;
  // The name of an array whose guards somebody wrote over, or null.
  const char* Overrun() const;

 private:
  struct Array {
    const void* site;
    const char* name;
    size_t offset, bytes;
  };
  Array& Place(const void* site, const char* name, size_t bytes);
  void FillGuard(size_t from);

  static constexpr size_t kGuard = 128, kArraysMax = 64;
  std::byte* storage_;
  std::array<Array, kArraysMax> arrays_;   // the first is the dynamic one
  size_t count_ = 0, end_ = 0, bytes_ = 0;
};

}  // namespace atoll::kernels::emulated
