#include "kernels/cuda/emulator/emulated_device.h"

#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "kernels/cuda/emulator/emulated_stream.h"
#include "kernels/cuda/emulator/fiber.h"

namespace atoll::kernels::emulated {

EmulatedDevice::~EmulatedDevice() { ATOLL_CHECK(allocations_.empty(), Name() + " ends before the memory that was allocated from it"); }

KernelError EmulatedDevice::Info(DeviceInfo* info) {
  *info = {.name = "emulated", .multiprocessors = 132, .major = 9, .minor = 0, .memory_bytes = options_.memory_bytes,
           .memory_free = options_.memory_bytes - allocated_};
  return {};
}

KernelError EmulatedDevice::Allocate(int64_t bytes, DeviceBuffer* buffer) {
  if (bytes < 0 || bytes > options_.memory_bytes - allocated_) {
    return NoMemory(Name() + " has " + std::to_string(options_.memory_bytes - allocated_) + " bytes of memory free of " +
                    std::to_string(options_.memory_bytes) + ", " + std::to_string(bytes) + " are needed");
  }
  void* data = nullptr;
  if (posix_memalign(&data, 256, bytes == 0 ? 1 : static_cast<size_t>(bytes)) != 0) {
    return NoMemory(Name() + ": the host has no " + std::to_string(bytes) + " bytes for it");
  }
  std::memset(data, 0xFF, static_cast<size_t>(bytes));
  {
    const std::lock_guard lock(mutex_);
    allocations_[static_cast<std::byte*>(data)] = bytes;
    allocated_ += bytes;
    if (open_ == 0) Poison(data, static_cast<size_t>(bytes));
  }
  *buffer = DeviceBuffer(this, data, bytes);
  return {};
}

KernelError EmulatedDevice::AllocatePinned(int64_t bytes, PinnedBuffer* buffer) {
  void* data = nullptr;
  if (bytes < 0 || posix_memalign(&data, 4096, bytes == 0 ? 1 : static_cast<size_t>(bytes)) != 0) {
    return NoMemory(Name() + ": the host has no " + std::to_string(bytes) + " bytes of pinned memory");
  }
  *buffer = PinnedBuffer(this, data, bytes);
  return {};
}

void EmulatedDevice::Free(void* data, int64_t bytes, bool pinned) {
  if (!pinned) {
    const std::lock_guard lock(mutex_);
    Unpoison(data, static_cast<size_t>(bytes));
    allocations_.erase(static_cast<std::byte*>(data));
    allocated_ -= bytes;
  }
  std::free(data);
}

bool EmulatedDevice::Contains(const void* address, int64_t bytes) const {
  const std::lock_guard lock(mutex_);
  const auto* first = static_cast<const std::byte*>(address);
  auto after = allocations_.upper_bound(first);
  if (after == allocations_.begin() || bytes < 0) return false;
  const auto& [begin, size] = *std::prev(after);
  return first - begin <= size && bytes <= size - (first - begin);
}

bool EmulatedDevice::Touches(const void* address, int64_t bytes) const {
  const std::lock_guard lock(mutex_);
  const auto* first = static_cast<const std::byte*>(address);
  const auto after = allocations_.lower_bound(first + bytes);
  if (after == allocations_.begin()) return false;
  const auto& [begin, size] = *std::prev(after);
  return first < begin + size;
}

// Its lock would order streams that nothing orders, and so hide races from the thread sanitizer: only the address sanitizer needs it.
void EmulatedDevice::OpenMemory([[maybe_unused]] int change) {
#ifdef __SANITIZE_ADDRESS__
  const std::lock_guard lock(mutex_);
  const int before = open_;
  open_ += change;
  if ((before == 0) == (open_ == 0)) return;
  for (const auto& [data, bytes] : allocations_) {
    if (open_ == 0) Poison(data, static_cast<size_t>(bytes));
    if (before == 0) Unpoison(data, static_cast<size_t>(bytes));
  }
#endif
}

KernelError EmulatedDevice::NewStream(std::unique_ptr<DeviceStream>* stream) {
  *stream = std::make_unique<EmulatedStream>(*this, streams_++);
  return {};
}

KernelError EmulatedDevice::NewEvent(std::unique_ptr<DeviceEvent>* event) {
  *event = std::make_unique<EmulatedEvent>();
  return {};
}

}  // namespace atoll::kernels::emulated
