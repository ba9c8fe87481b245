#include "kernels/cuda/cuda_device.h"

namespace atoll::kernels {

KernelError OpenCudaDevice(int index, std::unique_ptr<Device>*) {
  return Unsupported("device cuda:" + std::to_string(index) + " cannot be used: this program was built without the CUDA back end (ATOLL_CUDA)");
}

}  // namespace atoll::kernels
