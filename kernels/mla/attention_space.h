#pragma once

// Shared memory of attention_tile.h. Plain C++, included by both sides.

#include <cstdint>

#include "kernels/mla/mla_cuda.h"

namespace atoll::kernels {

inline constexpr int kValueDimMax = 512;
inline constexpr int kProbabilityStride = kTileQueries + 4;   // of four words, so that few keys share a bank

// Strides in elements.
struct AttentionSpace {
  int32_t key_dim = 0;
  int32_t key_stride = 0;
  int32_t value_dim = 0;
  int32_t value_stride = 0;   // 0: values are the first elements of the keys
};

// A row of `dim` elements (even) takes an odd number of 4-byte words, so that 32 keys lie in 32 banks.
ATOLL_BOTH_SIDES constexpr int32_t OddStride(int32_t dim, int32_t element_bytes) { return (dim * element_bytes / 4 | 1) * 4 / element_bytes; }

ATOLL_BOTH_SIDES constexpr AttentionSpace DecodeSpace(int32_t latent_dim, int32_t rope_dim, int32_t element_bytes) {
  return {latent_dim + rope_dim, OddStride(latent_dim + rope_dim, element_bytes), latent_dim, 0};
}
ATOLL_BOTH_SIDES constexpr AttentionSpace PrefillSpace(int32_t key_dim, int32_t value_dim, int32_t element_bytes) {
  return {key_dim, OddStride(key_dim, element_bytes), value_dim, OddStride(value_dim, element_bytes)};
}

constexpr int64_t AttentionSharedBytes(const AttentionSpace& space, int64_t element_bytes) {
  const int64_t words = kTileKeys * kProbabilityStride + 4 * kTileQueries;
  return words * 4 + ((kTileQueries + kTileKeys) * int64_t{space.key_stride} + kTileKeys * int64_t{space.value_stride}) * element_bytes;
}

}  // namespace atoll::kernels
