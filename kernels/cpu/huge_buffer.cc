#include "kernels/cpu/huge_buffer.h"

#include <sys/mman.h>

#include <cstdint>
#include <limits>
#include <new>
#include <utility>

namespace atoll::kernels {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;
constexpr size_t kPageBytes = 4096;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// A mapping aligned to a huge page: mapped with one page to spare, the ends given back.
std::byte* MapAligned(size_t bytes) {
  const size_t reserved = bytes + kHugePageBytes;
  void* const raw = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  auto* const first = static_cast<std::byte*>(raw);
  const size_t head = RoundUp(reinterpret_cast<uintptr_t>(first), kHugePageBytes) - reinterpret_cast<uintptr_t>(first);
  if (head > 0) munmap(first, head);
  munmap(first + head + bytes, reserved - head - bytes);
  return first + head;
}

}  // namespace

HugeBuffer::HugeBuffer(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes > std::numeric_limits<size_t>::max() / 2) throw std::bad_alloc();
  mapped_bytes_ = RoundUp(bytes, bytes < kHugePageBytes ? kPageBytes : kHugePageBytes);
  data_ = MapAligned(mapped_bytes_);
  madvise(data_, mapped_bytes_, MADV_HUGEPAGE);   // a wish: no answer changes what the memory holds
}

void HugeBuffer::Free() {
  if (data_ != nullptr) munmap(data_, mapped_bytes_);
}

void HugeBuffer::Swap(HugeBuffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
}

}  // namespace atoll::kernels
