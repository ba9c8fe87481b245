#pragma once

#include <memory>

#include "kernels/cuda/device.h"

namespace atoll::kernels {

// cuda_device.cc, or cuda_absent.cc in a build without a toolkit, where it is an error that says so. A driver that is missing or older than
// the runtime, an index without a device and an architecture without kernels are one sentence each.
KernelError OpenCudaDevice(int index, std::unique_ptr<Device>* device);

}  // namespace atoll::kernels
