#include "kernels/cuda/emulator/shared_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "kernels/cuda/device_kernel.h"
#include "kernels/cuda/emulator/fiber.h"

namespace atoll::kernels::emulated {
namespace {

constexpr std::byte kGuardByte{0xA5};
constexpr size_t Rounded(size_t bytes) { return (bytes + 127) / 128 * 128; }

}  // namespace

constexpr size_t kStorageBytes = kBlockSharedBytes + 128 * (64 + 2);   // every array and a guard after each

SharedMemory::SharedMemory() : storage_(static_cast<std::byte*>(std::aligned_alloc(128, Rounded(kStorageBytes)))) {
  ATOLL_CHECK(storage_ != nullptr, "no memory for emulated shared memory");
}

SharedMemory::~SharedMemory() {
  Unpoison(storage_, Rounded(kStorageBytes));
  std::free(storage_);
}

void SharedMemory::Reset(size_t dynamic_bytes) {
  count_ = end_ = bytes_ = 0;
  FillGuard(0);
  end_ = kGuard;
  Place(nullptr, "dynamic shared memory", dynamic_bytes);
}

void SharedMemory::FillGuard(size_t from) {
  Unpoison(storage_ + from, kGuard);
  std::memset(storage_ + from, static_cast<int>(kGuardByte), kGuard);
  Poison(storage_ + from, kGuard);
}

SharedMemory::Array& SharedMemory::Place(const void* site, const char* name, size_t bytes) {
  Array& array = arrays_[count_++] = {site, name, end_, bytes};
  const size_t whole = Rounded(bytes);
  Unpoison(storage_ + end_, whole);
  std::memset(storage_ + end_, 0xFF, bytes);
  std::memset(storage_ + end_ + bytes, static_cast<int>(kGuardByte), whole - bytes);
  Poison(storage_ + end_ + bytes, whole - bytes);
  FillGuard(end_ + whole);
  end_ += whole + kGuard;
  bytes_ += whole;
  return array;
}

void* SharedMemory::Static(const void* site, const char* name, size_t bytes) {
  for (size_t i = 1; i < count_; ++i) {
    if (arrays_[i].site == site) return storage_ + arrays_[i].offset;
  }
  const size_t statics = bytes_ - Rounded(arrays_[0].bytes) + Rounded(bytes);
  if (count_ == kArraysMax || statics > kStaticSharedBytes || bytes_ + Rounded(bytes) > kBlockSharedBytes) return nullptr;
  return storage_ + Place(site, name, bytes).offset;
}

bool SharedMemory::Holds(const void* address, size_t bytes) const {
  const auto at = static_cast<const std::byte*>(address);
  return std::any_of(arrays_.begin(), arrays_.begin() + count_, [&](const Array& array) {
    return at >= storage_ + array.offset && at + bytes <= storage_ + array.offset + array.bytes;
  });
}

const char* SharedMemory::Overrun() const {
  for (size_t i = 0; i < count_; ++i) {
    const std::byte* end = storage_ + arrays_[i].offset + arrays_[i].bytes;
    const size_t guard = Rounded(arrays_[i].bytes) - arrays_[i].bytes + kGuard;
    Unpoison(end, guard);
    const bool whole = std::all_of(end, end + guard, [](std::byte b) { return b == kGuardByte; });
    Poison(end, guard);
    if (!whole) return arrays_[i].name;
  }
  return nullptr;
}

}  // namespace atoll::kernels::emulated
