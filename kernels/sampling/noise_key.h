#pragma once

#include <cstdint>

namespace atoll::kernels {

// What the noise of a token id depends on besides the id.
struct NoiseKey {
  uint64_t seed = 0;
  uint32_t sequence_index = 0;
  uint32_t position = 0;
};

}  // namespace atoll::kernels
