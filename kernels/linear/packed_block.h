// Blocks of a panel's weights as they are packed, as all instruction sets' loops meet them. Included as panel_blocks.h, by which and
// under whose rules.

#pragma once

#include "kernels/linear/panel.h"

namespace atoll::kernels {
namespace {

constexpr int64_t kLanes = 64;
constexpr int64_t kScaleInputs = 128;

#define ATOLL_INLINE inline __attribute__((always_inline))
#define ATOLL_UNROLL _Pragma("GCC unroll 16")   // accumulators are arrays: only unrolled do they become registers

ATOLL_INLINE const char* RowOf(const PanelRun& run, int64_t row) {
  return run.x + (run.x_rows == nullptr ? row : run.x_rows[row]) * run.x_stride;
}

// The AVX-512 streams fetch ahead into the first-level cache; tiles, which have their block there already, into the second.
constexpr int kIntoFirstLevel = 3, kIntoSecondLevel = 2;
constexpr int64_t kPrefetchPairs = 32;   // how far streams look ahead

template <int Lines, int Level>
ATOLL_INLINE void Prefetch(const char* from) {
  ATOLL_UNROLL for (int line = 0; line < Lines; ++line) __builtin_prefetch(from + 64 * line, 0, Level);
}

// `rare` as in KBlockHead.

struct PackedPair {
  const char* at;
  bool rare;
};

struct PackedBlock {
  const char* pairs;
  int64_t count;
  uint64_t rare;   // bit p: pair p
};

// Inputs of the k block that begins at k.
template <typename Weights>
ATOLL_INLINE int64_t BlockLength(const PanelRun& run, int64_t k) {
  const int64_t left = run.inputs - k;
  if (!Weights::kScaled) return left;
  const int64_t length = k == 0 && run.first_inputs > 0 ? run.first_inputs : kScaleInputs;
  return length < left ? length : left;
}

template <typename Weights>
ATOLL_INLINE float ScaleOf(const PanelRun& run, int64_t block) {
  return Weights::kScaled ? run.heads[block].scale : 0.0f;
}

// Bit p: of the pair p after the block's first `skipped`.
template <typename Weights>
ATOLL_INLINE uint64_t RareOf(const PanelRun& run, int64_t block, int64_t skipped) {
  return Weights::kScaled ? run.heads[block].rare >> skipped : 0;
}

}  // namespace
}  // namespace atoll::kernels
