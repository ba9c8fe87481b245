#pragma once

#include "kernels/sampling/sampler.h"

namespace atoll::kernels {

// What sampler.h asks of a row of `vocabulary` logits, less the logits: parameters, and ids inside of the vocabulary.
KernelError CheckSamplingRow(const SamplingRow& row, int64_t vocabulary);

}  // namespace atoll::kernels
