#pragma once

// A stream of the emulator: its work runs on a thread of its own, kernels on that thread's fibers.

#include <chrono>
#include <memory>
#include <string_view>

#include "kernels/cuda/emulator/emulated_device.h"
#include "kernels/cuda/emulator/block_runner.h"
#include "kernels/cuda/emulator/work_thread.h"

namespace atoll::kernels::emulated {

class EmulatedEvent final : public DeviceEvent {
 public:
  KernelError Synchronize() override;
  KernelError MillisecondsSince(const DeviceEvent& earlier, float* ms) override;

 private:
  friend class EmulatedStream;
  struct State {   // shared with the streams' work that may outlive the event
    Progress reached;
    std::chrono::steady_clock::time_point time;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
  uint32_t records_ = 0;
};

class EmulatedStream final : public DeviceStream {
 public:
  EmulatedStream(EmulatedDevice& device, uint64_t number) : device_(device), number_(number) {}

  Device& device() override { return device_; }
  KernelError CopyToDevice(void* to, const void* from, int64_t bytes) override;
  KernelError CopyToHost(void* to, const void* from, int64_t bytes) override;
  KernelError CopyOnDevice(void* to, const void* from, int64_t bytes) override;
  KernelError Fill(void* to, uint8_t byte, int64_t bytes) override;
  KernelError Record(DeviceEvent& event) override;
  KernelError Wait(const DeviceEvent& event) override;
  KernelError Synchronize() override;

 private:
  KernelError LaunchImage(const KernelImage& kernel, const LaunchShape& shape, const void* params) override;
  KernelError ExpectOnDevice(std::string_view operand, const void* address, int64_t bytes) override;
  KernelError ExpectOnHost(std::string_view operand, const void* address, int64_t bytes);
  void PushCopy(void* to, const void* from, int64_t bytes);

  EmulatedDevice& device_;
  const uint64_t number_;
  uint64_t launches_ = 0;
  BlockRunner runner_;   // of the thread's work alone
  WorkThread thread_;    // ends first
};

}  // namespace atoll::kernels::emulated
