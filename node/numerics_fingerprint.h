#pragma once

// Do two processes compute the same bits? Each runs the same small inputs through every kernel and hashes the output.

#include <cstdint>

#include "base/dtype.h"
#include "base/status.h"
#include "kernels/context.h"

namespace atoll::node {

// Hash of the output bits of a fixed self-test over all kernels with the process's instruction set and activation dtype.
// Independent of the number of threads and, on CPUs, of the instruction set. Takes some milliseconds. Internal where a kernel fails.
absl::StatusOr<uint64_t> NumericsFingerprint(const kernels::Context& context, DType activation_dtype);

}  // namespace atoll::node
