#include "kernels/cuda/emulator/emulated_stream.h"

#include <cstring>
#include <string>
#include <vector>

#include "kernels/cuda/launch_limits.h"

namespace atoll::kernels::emulated {

KernelError EmulatedEvent::Synchronize() {
  state_->reached.AwaitAtLeast(records_);
  return {};
}

KernelError EmulatedEvent::MillisecondsSince(const DeviceEvent& earlier, float* ms) {
  const auto* first = dynamic_cast<const EmulatedEvent*>(&earlier);
  if (first == nullptr || first->records_ == 0 || records_ == 0) return InvalidValue("time between events of which one was not recorded by this device");
  *ms = std::chrono::duration<float, std::milli>(state_->time - first->state_->time).count();
  return {};
}

KernelError EmulatedStream::ExpectOnDevice(std::string_view operand, const void* address, int64_t bytes) {
  if (bytes == 0 || device_.Contains(address, bytes)) return {};
  return InvalidValue(std::string(operand) + ": its " + std::to_string(bytes) + " bytes do not lie in one buffer of " + device_.Name());
}

KernelError EmulatedStream::ExpectOnHost(std::string_view operand, const void* address, int64_t bytes) {
  if (bytes == 0 || !device_.Touches(address, bytes)) return {};
  return InvalidValue(std::string(operand) + ": expected memory of the host, found memory of " + device_.Name());
}

void EmulatedStream::PushCopy(void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  thread_.Push([this, to, from, bytes] {
    const EmulatedDevice::Access access(device_);
    std::memcpy(to, from, static_cast<size_t>(bytes));
  });
}

KernelError EmulatedStream::CopyToDevice(void* to, const void* from, int64_t bytes) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectOnDevice("target of a copy to the device", to, bytes));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectOnHost("source of a copy to the device", from, bytes));
  PushCopy(to, from, bytes);
  return {};
}

KernelError EmulatedStream::CopyToHost(void* to, const void* from, int64_t bytes) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectOnHost("target of a copy to the host", to, bytes));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectOnDevice("source of a copy to the host", from, bytes));
  PushCopy(to, from, bytes);
  return {};
}

KernelError EmulatedStream::CopyOnDevice(void* to, const void* from, int64_t bytes) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectOnDevice("target of a copy on the device", to, bytes));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectOnDevice("source of a copy on the device", from, bytes));
  PushCopy(to, from, bytes);
  return {};
}

KernelError EmulatedStream::Fill(void* to, uint8_t byte, int64_t bytes) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectOnDevice("target of a fill", to, bytes));
  if (bytes == 0) return {};
  thread_.Push([this, to, byte, bytes] {
    const EmulatedDevice::Access access(device_);
    std::memset(to, byte, static_cast<size_t>(bytes));
  });
  return {};
}

KernelError EmulatedStream::LaunchImage(const KernelImage& kernel, const LaunchShape& shape, const void* params) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectLaunchable(kernel, shape));
  if (LaunchesNothing(shape)) return {};
  std::vector<std::max_align_t> copy((kernel.params_bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
  std::memcpy(copy.data(), params, kernel.params_bytes);
  const uint64_t turn = number_ << 32 | launches_++;
  thread_.Push([this, kernel = KernelImage(kernel), shape, copy = std::move(copy), turn] {
    const EmulatedDevice::Access access(device_);
    runner_.RunGrid(kernel, shape, copy.data(), device_.options().schedule, turn);
  });
  return {};
}

KernelError EmulatedStream::Record(DeviceEvent& event) {
  auto* recorded = dynamic_cast<EmulatedEvent*>(&event);
  if (recorded == nullptr) return InvalidValue("an event of another device was recorded on a stream of " + device_.Name());
  thread_.Push([state = recorded->state_, number = ++recorded->records_] {
    state->time = std::chrono::steady_clock::now();
    state->reached.RaiseTo(number);
  });
  return {};
}

KernelError EmulatedStream::Wait(const DeviceEvent& event) {
  const auto* awaited = dynamic_cast<const EmulatedEvent*>(&event);
  if (awaited == nullptr || awaited->records_ == 0) return InvalidValue("a stream of " + device_.Name() + " waits for an event that was never recorded there");
  thread_.Push([state = awaited->state_, number = awaited->records_] { state->reached.AwaitAtLeast(number); });
  return {};
}

KernelError EmulatedStream::Synchronize() {
  thread_.Await();
  return {};
}

}  // namespace atoll::kernels::emulated
