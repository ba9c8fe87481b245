#pragma once

// Outputs against outputs.

#include <cstddef>
#include <vector>

#include "kernels/check/op_case.h"

namespace atoll::kernels::check {

// The bytes of one output, on the host.
using Kept = std::vector<std::byte>;
std::vector<Kept> Keep(const OpCase& tried);

// Over all outputs, now on the host: worst |found - expected| over the root mean square of what is expected. A NaN on one side, and a whole
// number that differs, is infinitely wrong.
double WorstError(const OpCase& tried, const std::vector<Kept>& expected);

// Whether the first `rows` rows are the same to the bit, and what follows is still poisoned.
bool SameFirstRows(const OpCase& tried, const std::vector<Kept>& whole, int64_t rows);

}  // namespace atoll::kernels::check
