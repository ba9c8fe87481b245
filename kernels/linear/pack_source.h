#pragma once

// Reading a PackSource, for all layouts that weights are packed into.

#include "kernels/linear/packed_matrix.h"

namespace atoll::kernels {

KernelError CheckPackSource(const PackSource& source);

// Weight (output, input) of the wanted rectangle, and the scale that covers it.
const std::byte* SourceElement(const PackSource& source, int64_t output, int64_t input);
float SourceScale(const PackSource& source, int64_t output, int64_t input);

// For an fp8 code that is NaN there.
KernelError NanWeight(const PackSource& source, int64_t output, int64_t input);

}  // namespace atoll::kernels
