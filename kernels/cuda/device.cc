#include "kernels/cuda/device.h"

#include <charconv>

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/emulator/emulated_device.h"

namespace atoll::kernels {
namespace {

bool ReadIndex(std::string_view text, int* index) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *index);
  return error == std::errc() && end == text.data() + text.size() && *index >= 0;
}

}  // namespace

template <bool kPinned>
DeviceMemory<kPinned>::~DeviceMemory() {
  if (device_ != nullptr) device_->Free(data_, bytes_, kPinned);
}
template class DeviceMemory<false>;
template class DeviceMemory<true>;

KernelError ParseDevice(std::string_view name, DeviceName* device) {
  const size_t colon = name.find(':');
  const std::string_view word = name.substr(0, colon);
  DeviceName parsed;
  if (name == "auto") {
    parsed = AutoDevice();
  } else if (name != "cpu") {
    parsed.kind = word == "cuda" ? DeviceKind::kCuda : DeviceKind::kEmulated;
    const bool known = word == "cuda" || word == "emulated";
    if (!known || colon == name.npos || !ReadIndex(name.substr(colon + 1), &parsed.index)) {
      return InvalidValue("device \"" + std::string(name) + "\" is unknown: use auto, cpu, cuda:N or emulated:N");
    }
  }
  *device = parsed;
  return {};
}

KernelError OpenDevice(const DeviceName& name, std::unique_ptr<Device>* device, const EmulatedOptions& emulated) {
  switch (name.kind) {
    case DeviceKind::kCuda: return OpenCudaDevice(name.index, device);
    case DeviceKind::kEmulated:
      if (name.index > 7) return InvalidValue("device emulated:" + std::to_string(name.index) + " is not there: there are 8, emulated:0 to emulated:7");
      *device = std::make_unique<emulated::EmulatedDevice>(name.index, emulated);
      return {};
    case DeviceKind::kCpu: break;
  }
  return InvalidValue("the CPU has no device memory to open: its ops take a Context without a stream");
}

DeviceName AutoDevice() {
  std::unique_ptr<Device> device;
  if (OpenCudaDevice(0, &device).ok()) return {.kind = DeviceKind::kCuda};
  return {};
}

}  // namespace atoll::kernels
