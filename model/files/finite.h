#pragma once

// Search for values that no weight may have: NaN and infinity of bf16 and float32, the NaN codes of e4m3.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace atoll::model {

// Index of the first such element, or -1. Eight bytes a step: a load must not wait for this.
int64_t FindNonFinite(DType dtype, std::span<const std::byte> elements);

}  // namespace atoll::model
