#pragma once

// Host side of the CUDA back end: all that the rest of the program sees of a device. Two implementations: CUDA's runtime (cuda_device.cc,
// in builds with ATOLL_CUDA) and the emulator (emulator/, in every build). They differ in `name` alone: uploads, staging, copies and
// launches take the same path.
//
// Work given to one stream runs in order, later than the call; two streams, and a stream and the host, are ordered only by events and
// Synchronize. The emulator runs each stream on a thread of its own, so that the thread sanitizer finds an order that nobody made.
// Errors: bad arguments at once. What a device reports later comes out of the next call on that stream, and then of every call: the process has
// to end with that sentence. Classes are thread-compatible; a stream belongs to one thread at a time.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "kernels/cuda/device_kernel.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

class Device;

// Memory of a device, or pinned memory of the host; owned; freed with it, after the streams that use it were synchronized. The Device must live longer.
template <bool kPinned>
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(Device* device, void* data, int64_t bytes) : device_(device), data_(data), bytes_(bytes) {}
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceMemory();

  // Of a DeviceBuffer: an address on the device, which the host must not follow.
  std::byte* data() const { return static_cast<std::byte*>(data_); }
  int64_t bytes() const { return bytes_; }
  template <typename T>
  T* As() const { return static_cast<T*>(data_); }
  template <typename T>
  DevicePtr<T> Pointer() const requires(!kPinned) { return DevicePtr<T>(static_cast<T*>(data_)); }

 private:
  Device* device_ = nullptr;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};
using DeviceBuffer = DeviceMemory<false>;
using PinnedBuffer = DeviceMemory<true>;

// A point in a stream's work. Recorded again, it means the later point to whoever waits from then on.
class DeviceEvent {
 public:
  virtual ~DeviceEvent() = default;
  // Returns when the work before the last Record is done.
  virtual KernelError Synchronize() = 0;
  // Of two events made with timing whose work is done: from the other's point to this one's. The emulator answers in host time.
  virtual KernelError MillisecondsSince(const DeviceEvent& earlier, float* ms) = 0;
};

class DeviceStream {
 public:
  // Its destructor waits for its work.
  virtual ~DeviceStream() = default;
  virtual Device& device() = 0;

  // Copies. The host side must stay as it is until the copy is done; pinned memory makes it overlap with other work.
  virtual KernelError CopyToDevice(void* to, const void* from, int64_t bytes) = 0;
  virtual KernelError CopyToHost(void* to, const void* from, int64_t bytes) = 0;
  virtual KernelError CopyOnDevice(void* to, const void* from, int64_t bytes) = 0;
  virtual KernelError Fill(void* to, uint8_t byte, int64_t bytes) = 0;

  // Runs one thread of `kernel` for each of shape's; params are copied now.
  template <typename Params>
  KernelError Launch(const DeviceKernel<Params>& kernel, const LaunchShape& shape, const Params& params) {
    return LaunchImage(kernel, shape, &params);
  }

  virtual KernelError Record(DeviceEvent& event) = 0;
  // Work given to this stream from now on runs after the event's last Record. An event that was never recorded is an error.
  virtual KernelError Wait(const DeviceEvent& event) = 0;
  virtual KernelError Synchronize() = 0;

  // [address, address + elements) as an operand of a kernel; an error that names the operand unless it lies in one buffer of this stream's device
  // (the emulator knows all of them; CUDA is asked for the first address's device).
  template <typename T>
  KernelError Reach(std::string_view operand, T* address, int64_t elements, DevicePtr<T>* pointer) {
    *pointer = DevicePtr<T>(address);
    return ExpectOnDevice(operand, address, elements * static_cast<int64_t>(sizeof(T)));
  }

 protected:
  virtual KernelError LaunchImage(const KernelImage& kernel, const LaunchShape& shape, const void* params) = 0;
  virtual KernelError ExpectOnDevice(std::string_view operand, const void* address, int64_t bytes) = 0;
};

}  // namespace atoll::kernels
