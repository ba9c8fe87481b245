#pragma once

// Streams and events of CUDA's runtime. Private to cuda_device.cc and cuda_stream.cc.

#include <memory>
#include <string>

#include "kernels/cuda/device.h"

namespace atoll::kernels {

// `result`: a cudaError_t. The error names the call.
KernelError CudaResult(const std::string& call, int result);

KernelError NewCudaStream(Device& device, int index, std::unique_ptr<DeviceStream>* stream);
KernelError NewCudaEvent(int index, std::unique_ptr<DeviceEvent>* event);

}  // namespace atoll::kernels
