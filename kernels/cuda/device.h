#pragma once

// Finding, opening and asking a device. Its streams and memory: runtime.h.

#include <memory>
#include <string>
#include <string_view>

#include "kernels/cuda/runtime.h"

namespace atoll::kernels {

enum class DeviceKind : uint8_t { kCpu, kCuda, kEmulated };

// What --device says: "cpu", "cuda:N", "emulated:N", or "auto": cuda:0 where there is one that this build can use, else the CPU.
struct DeviceName {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;
};
// An unknown word or number is an error; whether the device exists is OpenDevice's to say.
KernelError ParseDevice(std::string_view name, DeviceName* device);

struct DeviceInfo {
  std::string name;             // "NVIDIA H200", "emulated"
  int multiprocessors = 0;
  int major = 0, minor = 0;     // compute capability
  int64_t memory_bytes = 0;     // of the whole device
  int64_t memory_free = 0;      // now
};

struct EmulatedOptions {
  uint64_t schedule = 0;                           // emulated.h; also whose turn it is between streams' kernels is up to the host
  int64_t memory_bytes = int64_t{64} << 30;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  virtual KernelError Info(DeviceInfo* info) = 0;
  // Contents are undefined (the emulator: 0xFF). Too little memory: says the bytes needed and found. 256-byte aligned.
  virtual KernelError Allocate(int64_t bytes, DeviceBuffer* buffer) = 0;
  virtual KernelError AllocatePinned(int64_t bytes, PinnedBuffer* buffer) = 0;
  virtual KernelError NewStream(std::unique_ptr<DeviceStream>* stream) = 0;
  virtual KernelError NewEvent(std::unique_ptr<DeviceEvent>* event) = 0;

 protected:
  template <bool kPinned>
  friend class DeviceMemory;
  virtual void Free(void* data, int64_t bytes, bool pinned) = 0;
};

// Opens and checks: a device that is there, a driver as new as the runtime, kernels of this build for its architecture. kCpu is an error.
KernelError OpenDevice(const DeviceName& name, std::unique_ptr<Device>* device, const EmulatedOptions& emulated = {});

// The device that --device auto means here; never fails.
DeviceName AutoDevice();

}  // namespace atoll::kernels
