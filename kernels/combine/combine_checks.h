#pragma once

#include "kernels/combine/combine.h"

namespace atoll::kernels {

// What combine.h asks of the shapes, on any processor.
KernelError CheckCombineShapes(const CombineArgs& args);

}  // namespace atoll::kernels
