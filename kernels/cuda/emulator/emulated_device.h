#pragma once

// The emulator as a Device: memory of its own, streams that are threads.

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "kernels/cuda/device.h"

namespace atoll::kernels::emulated {

// Info, Allocate, NewStream and NewEvent belong to one thread at a time; Contains and Access are thread-safe.
class EmulatedDevice final : public Device {
 public:
  EmulatedDevice(int index, const EmulatedOptions& options) : index_(index), options_(options) {}
  ~EmulatedDevice() override;

  DeviceKind kind() const override { return DeviceKind::kEmulated; }
  KernelError Info(DeviceInfo* info) override;
  KernelError Allocate(int64_t bytes, DeviceBuffer* buffer) override;
  KernelError AllocatePinned(int64_t bytes, PinnedBuffer* buffer) override;
  KernelError NewStream(std::unique_ptr<DeviceStream>* stream) override;
  KernelError NewEvent(std::unique_ptr<DeviceEvent>* event) override;

  std::string Name() const { return "emulated:" + std::to_string(index_); }
  const EmulatedOptions& options() const { return options_; }
  // Whether the bytes lie in one allocation.
  bool Contains(const void* address, int64_t bytes) const;
  bool Touches(const void* address, int64_t bytes) const;

  // While a stream works, its thread may reach device memory. With the address sanitizer nobody may when none does.
  class Access {
   public:
    explicit Access(EmulatedDevice& device) : device_(device) { device_.OpenMemory(1); }
    ~Access() { device_.OpenMemory(-1); }

   private:
    EmulatedDevice& device_;
  };

 private:
  void Free(void* data, int64_t bytes, bool pinned) override;
  void OpenMemory(int change);

  const int index_;
  const EmulatedOptions options_;
  mutable std::mutex mutex_;
  std::map<const std::byte*, int64_t> allocations_;
  int64_t allocated_ = 0;
  int open_ = 0;
  uint64_t streams_ = 0;
};

}  // namespace atoll::kernels::emulated
