#include "kernels/cuda/launch_limits.h"

#include <string>

namespace atoll::kernels {
namespace {

std::string Text(Dim3 at) { return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) + ")"; }

}  // namespace

std::string LaunchText(const KernelImage& kernel, const LaunchShape& shape) {
  return std::string("kernel ") + kernel.name + ", grid " + Text(shape.grid) + ", block " + Text(shape.block) + ", " +
         std::to_string(shape.shared_bytes) + " bytes of dynamic shared memory";
}

KernelError ExpectLaunchable(const KernelImage& kernel, const LaunchShape& shape) {
  const uint64_t threads = uint64_t{shape.block.x} * shape.block.y * shape.block.z;
  if (threads == 0 || threads > kernel.threads_max || threads > kBlockThreads) {
    return InvalidShape(LaunchText(kernel, shape) + ": expected 1 to " + std::to_string(kernel.threads_max) + " threads in a block");
  }
  if (shape.grid.x > 0x7FFFFFFFu || shape.grid.y > 65535 || shape.grid.z > 65535 || shape.block.z > 64) {
    return InvalidShape(LaunchText(kernel, shape) + ": expected a grid of at most (2147483647, 65535, 65535) and a block of at most 64 in z");
  }
  if (shape.shared_bytes < 0 || shape.shared_bytes > kBlockSharedBytes) {
    return InvalidShape(LaunchText(kernel, shape) + ": expected at most " + std::to_string(kBlockSharedBytes) + " bytes");
  }
  return {};
}

}  // namespace atoll::kernels
