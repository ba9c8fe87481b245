#pragma once

// Arrays on a device for tests, under each schedule of the emulator.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/cuda/device.h"

namespace atoll::kernels::testing {

// Every kernel test runs under all of these and must give the same bits.
inline constexpr uint64_t kSchedules[] = {0, 1, 20251, 77003};

// A device with one stream. Errors end the test at once: this is for what has to work.
class TestDevice {
 public:
  explicit TestDevice(uint64_t schedule = 0, int64_t memory_bytes = int64_t{1} << 30) {
    Need(OpenDevice({.kind = DeviceKind::kEmulated}, &device_, {.schedule = schedule, .memory_bytes = memory_bytes}));
    Need(device_->NewStream(&stream_));
  }

  Device& device() { return *device_; }
  DeviceStream& stream() { return *stream_; }

  template <typename T>
  DeviceBuffer Upload(const std::vector<T>& values) {
    DeviceBuffer buffer = Empty<T>(values.size());
    Need(stream_->CopyToDevice(buffer.data(), values.data(), buffer.bytes()));
    Need(stream_->Synchronize());
    return buffer;
  }
  template <typename T>
  DeviceBuffer Empty(size_t count) {
    DeviceBuffer buffer;
    Need(device_->Allocate(static_cast<int64_t>(count * sizeof(T)), &buffer));
    return buffer;
  }
  // After all work of the stream.
  template <typename T>
  std::vector<T> Download(const DeviceBuffer& buffer) {
    std::vector<T> values(static_cast<size_t>(buffer.bytes()) / sizeof(T));
    Need(stream_->CopyToHost(values.data(), buffer.data(), buffer.bytes()));
    Need(stream_->Synchronize());
    return values;
  }

  static void Need(const KernelError& error) {
    ASSERT_TRUE(error.ok()) << error.text;
  }

 private:
  std::unique_ptr<Device> device_;
  std::unique_ptr<DeviceStream> stream_;
};

}  // namespace atoll::kernels::testing
