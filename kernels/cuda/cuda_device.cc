#include "kernels/cuda/cuda_device.h"

#include <cuda_runtime_api.h>

#include <string>

#include "kernels/cuda/cuda_stream.h"
#include "kernels/cuda/probe_cuda.h"

namespace atoll::kernels {
namespace {

std::string DeviceText(int index) { return "device cuda:" + std::to_string(index); }
std::string VersionText(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int index) : index_(index) {}

  DeviceKind kind() const override { return DeviceKind::kCuda; }
  KernelError Info(DeviceInfo* info) override;
  KernelError Allocate(int64_t bytes, DeviceBuffer* buffer) override;
  KernelError AllocatePinned(int64_t bytes, PinnedBuffer* buffer) override;
  KernelError NewStream(std::unique_ptr<DeviceStream>* stream) override { return NewCudaStream(*this, index_, stream); }
  KernelError NewEvent(std::unique_ptr<DeviceEvent>* event) override { return NewCudaEvent(index_, event); }

 private:
  void Free(void* data, int64_t bytes, bool pinned) override;

  const int index_;
};

KernelError CudaDevice::Info(DeviceInfo* info) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaSetDevice", cudaSetDevice(index_)));
  cudaDeviceProp properties;
  size_t free = 0, whole = 0;
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaGetDeviceProperties", cudaGetDeviceProperties(&properties, index_)));
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaMemGetInfo", cudaMemGetInfo(&free, &whole)));
  *info = {.name = properties.name, .multiprocessors = properties.multiProcessorCount, .major = properties.major, .minor = properties.minor,
           .memory_bytes = static_cast<int64_t>(whole), .memory_free = static_cast<int64_t>(free)};
  return {};
}

KernelError CudaDevice::Allocate(int64_t bytes, DeviceBuffer* buffer) {
  DeviceInfo info;
  ATOLL_RETURN_IF_KERNEL_ERROR(Info(&info));
  void* data = nullptr;
  const cudaError_t result = bytes < 0 ? cudaErrorMemoryAllocation : cudaMalloc(&data, bytes == 0 ? 1 : static_cast<size_t>(bytes));
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();   // not sticky; the next call must not report it again
    return NoMemory(DeviceText(index_) + " has " + std::to_string(info.memory_free) + " bytes of memory free of " + std::to_string(info.memory_bytes) +
                    ", " + std::to_string(bytes) + " are needed");
  }
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaMalloc", result));
  *buffer = DeviceBuffer(this, data, bytes);
  return {};
}

KernelError CudaDevice::AllocatePinned(int64_t bytes, PinnedBuffer* buffer) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaSetDevice", cudaSetDevice(index_)));
  void* data = nullptr;
  if (bytes < 0 || cudaMallocHost(&data, bytes == 0 ? 1 : static_cast<size_t>(bytes)) != cudaSuccess) {
    cudaGetLastError();
    return NoMemory(DeviceText(index_) + ": the host has no " + std::to_string(bytes) + " bytes of pinned memory");
  }
  *buffer = PinnedBuffer(this, data, bytes);
  return {};
}

// A failure here follows an error that some call has already reported.
void CudaDevice::Free(void* data, int64_t, bool pinned) {
  if (cudaSetDevice(index_) == cudaSuccess) pinned ? cudaFreeHost(data) : cudaFree(data);
}

KernelError ExpectDriver(int index) {
  int runtime = 0, driver = 0;
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaRuntimeGetVersion", cudaRuntimeGetVersion(&runtime)));
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaDriverGetVersion", cudaDriverGetVersion(&driver)));
  if (driver == 0) return Unsupported(DeviceText(index) + " cannot be used: this host has no CUDA driver");
  if (driver < runtime / 1000 * 1000) {
    return Unsupported(DeviceText(index) + " cannot be used: the driver is for CUDA " + VersionText(driver) + ", this program needs " + VersionText(runtime));
  }
  return {};
}

KernelError ExpectIndex(int index) {
  int devices = 0;
  const cudaError_t result = cudaGetDeviceCount(&devices);
  if (result != cudaErrorNoDevice) ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaGetDeviceCount", result));
  if (index < devices) return {};
  return InvalidValue(DeviceText(index) + " is not there: this host has " + std::to_string(devices) + " CUDA device" + (devices == 1 ? "" : "s"));
}

// All kernels are built for one architecture, so that one of them stands for all.
KernelError ExpectImage(int index) {
  cudaFuncAttributes attributes;
  const cudaError_t result = cudaFuncGetAttributes(&attributes, kProbeFill.cuda());
  if (result != cudaErrorNoKernelImageForDevice && result != cudaErrorInvalidDeviceFunction) return CudaResult("cudaFuncGetAttributes", result);
  int major = 0, minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
  return Unsupported(DeviceText(index) + " cannot be used: its compute capability is " + std::to_string(major) + "." + std::to_string(minor) +
                     ", the kernels of this program are for 9.0 (sm_90a)");
}

}  // namespace

KernelError CudaResult(const std::string& call, int result) {
  if (result == cudaSuccess) return {};
  const auto error = static_cast<cudaError_t>(result);
  return DeviceFailed(call + " failed: " + cudaGetErrorName(error) + ", " + cudaGetErrorString(error));
}

KernelError OpenCudaDevice(int index, std::unique_ptr<Device>* device) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectDriver(index));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectIndex(index));
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaSetDevice", cudaSetDevice(index)));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectImage(index));
  *device = std::make_unique<CudaDevice>(index);
  return {};
}

}  // namespace atoll::kernels
