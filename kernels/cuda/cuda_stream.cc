#include "kernels/cuda/cuda_stream.h"

#include <cuda_runtime_api.h>

#include <string>

#include "kernels/cuda/launch_limits.h"

namespace atoll::kernels {
namespace {

class CudaEvent final : public DeviceEvent {
 public:
  ~CudaEvent() override { cudaEventDestroy(event); }
  KernelError Synchronize() override { return CudaResult("cudaEventSynchronize", cudaEventSynchronize(event)); }
  KernelError MillisecondsSince(const DeviceEvent& earlier, float* ms) override {
    const auto* first = dynamic_cast<const CudaEvent*>(&earlier);
    if (first == nullptr) return InvalidValue("time between events of two kinds of device");
    return CudaResult("cudaEventElapsedTime", cudaEventElapsedTime(ms, first->event, event));
  }

  cudaEvent_t event = nullptr;
  bool recorded = false;
};

class CudaStream final : public DeviceStream {
 public:
  CudaStream(Device& device, int index) : device_(device), index_(index) {}
  ~CudaStream() override {
    cudaStreamSynchronize(stream_);
    cudaStreamDestroy(stream_);
  }
  KernelError Open() {
    ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaSetDevice", cudaSetDevice(index_)));
    return CudaResult("cudaStreamCreateWithFlags", cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }

  Device& device() override { return device_; }
  KernelError CopyToDevice(void* to, const void* from, int64_t bytes) override { return Copy(to, from, bytes, cudaMemcpyHostToDevice); }
  KernelError CopyToHost(void* to, const void* from, int64_t bytes) override { return Copy(to, from, bytes, cudaMemcpyDeviceToHost); }
  KernelError CopyOnDevice(void* to, const void* from, int64_t bytes) override { return Copy(to, from, bytes, cudaMemcpyDeviceToDevice); }
  KernelError Fill(void* to, uint8_t byte, int64_t bytes) override {
    if (bytes == 0) return {};
    return CudaResult(After("cudaMemsetAsync of " + std::to_string(bytes) + " bytes"), cudaMemsetAsync(to, byte, static_cast<size_t>(bytes), stream_));
  }
  KernelError Record(DeviceEvent& event) override;
  KernelError Wait(const DeviceEvent& event) override;
  KernelError Synchronize() override { return CudaResult(After("cudaStreamSynchronize"), cudaStreamSynchronize(stream_)); }

 private:
  KernelError LaunchImage(const KernelImage& kernel, const LaunchShape& shape, const void* params) override;
  KernelError ExpectOnDevice(std::string_view operand, const void* address, int64_t bytes) override;
  KernelError Copy(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind);
  // What a device reports late belongs to what was launched before.
  std::string After(const std::string& call) const { return last_launch_ == nullptr ? call : call + " (last launched: kernel " + last_launch_ + ")"; }

  Device& device_;
  const int index_;
  cudaStream_t stream_ = nullptr;
  const char* last_launch_ = nullptr;
};

KernelError CudaStream::Copy(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return {};
  if (bytes < 0) return InvalidShape("a copy of " + std::to_string(bytes) + " bytes");
  return CudaResult(After("cudaMemcpyAsync of " + std::to_string(bytes) + " bytes"), cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, stream_));
}

KernelError CudaStream::Record(DeviceEvent& event) {
  auto* recorded = dynamic_cast<CudaEvent*>(&event);
  if (recorded == nullptr) return InvalidValue("an event of another device was recorded on a stream of cuda:" + std::to_string(index_));
  recorded->recorded = true;
  return CudaResult(After("cudaEventRecord"), cudaEventRecord(recorded->event, stream_));
}

KernelError CudaStream::Wait(const DeviceEvent& event) {
  const auto* awaited = dynamic_cast<const CudaEvent*>(&event);
  if (awaited == nullptr || !awaited->recorded) return InvalidValue("a stream of cuda:" + std::to_string(index_) + " waits for an event that was never recorded there");
  return CudaResult(After("cudaStreamWaitEvent"), cudaStreamWaitEvent(stream_, awaited->event, 0));
}

KernelError CudaStream::LaunchImage(const KernelImage& kernel, const LaunchShape& shape, const void* params) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectLaunchable(kernel, shape));
  if (LaunchesNothing(shape)) return {};
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaSetDevice", cudaSetDevice(index_)));
  const void* image = kernel.cuda();
  const auto shared = static_cast<size_t>(shape.shared_bytes);
  if (shape.shared_bytes > kStaticSharedBytes) {
    ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaFuncSetAttribute of " + LaunchText(kernel, shape),
                                            cudaFuncSetAttribute(image, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared))));
  }
  void* arguments[] = {const_cast<void*>(params)};
  const cudaError_t result = cudaLaunchKernel(image, {shape.grid.x, shape.grid.y, shape.grid.z}, {shape.block.x, shape.block.y, shape.block.z},
                                              arguments, shared, stream_);
  const std::string call = result == cudaSuccess ? std::string() : After("launch of " + LaunchText(kernel, shape));
  last_launch_ = kernel.name;
  return CudaResult(call, result);
}

KernelError CudaStream::ExpectOnDevice(std::string_view operand, const void* address, int64_t bytes) {
  if (bytes == 0) return {};
  cudaPointerAttributes attributes;
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaPointerGetAttributes", cudaPointerGetAttributes(&attributes, address)));
  if (attributes.type == cudaMemoryTypeDevice && attributes.device == index_) return {};
  return InvalidValue(std::string(operand) + " does not lie in memory of cuda:" + std::to_string(index_));
}

}  // namespace

KernelError NewCudaStream(Device& device, int index, std::unique_ptr<DeviceStream>* stream) {
  auto made = std::make_unique<CudaStream>(device, index);
  ATOLL_RETURN_IF_KERNEL_ERROR(made->Open());
  *stream = std::move(made);
  return {};
}

KernelError NewCudaEvent(int index, std::unique_ptr<DeviceEvent>* event) {
  auto made = std::make_unique<CudaEvent>();
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaSetDevice", cudaSetDevice(index)));
  ATOLL_RETURN_IF_KERNEL_ERROR(CudaResult("cudaEventCreate", cudaEventCreate(&made->event)));
  *event = std::move(made);
  return {};
}

}  // namespace atoll::kernels
