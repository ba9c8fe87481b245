#pragma once

// AttentionCore over sixteen lanes with float32 fma, for the lanes header included before. bfloat16 operands are widened: queries when
// packed, a few key rows at a time, values in registers. Layouts: packed [element][16], scores [key][16], both float32.

#include "kernels/math/float_functions.h"
#include "kernels/math/lanes_io.h"
#include "kernels/mla/attention_core.h"

namespace atoll::kernels {
namespace {

// Register tiles: accumulators enough to hide the latency of an fma, within the registers that there are.
inline constexpr int kScoreKeys = kRegistersPerF == 1 ? 8 : 4;
inline constexpr int kValueQueries = kRegistersPerF == 1 ? 8 : 4;
inline constexpr int kValueVectors = kRegistersPerF == 1 ? 2 : 1;

template <bool kBf16>
inline const std::byte* KeyAt(const std::byte* const* blocks, int64_t stride, int32_t key) {
  return blocks[key / kKeyBlock] + (key % kKeyBlock) * stride * (kBf16 ? 2 : 4);
}

// One part of the queries, `dim` elements, to packed [element][16]; absent lanes become zero.
template <bool kBf16>
inline void PackPart(const std::byte* const* rows, int lanes, int64_t dim, float* packed) {
  for (int64_t i = 0; i < dim; i += 16) {
    const int64_t count = dim - i < 16 ? dim - i : 16;
    F block[kQueryLanes];
    for (int lane = 0; lane < kQueryLanes; ++lane) block[lane] = lane < lanes ? LoadElements(kBf16, rows[lane], i, count) : Splat(0.0f);
    Transpose(block);
    for (int64_t j = 0; j < count; ++j) Store(packed + (i + j) * kQueryLanes, block[j]);
  }
}

template <bool kBf16>
inline void PackLanes(const AttentionTile& tile) {
  float* packed = static_cast<float*>(tile.packed);
  PackPart<kBf16>(tile.q_nope, tile.lanes, tile.nope_dim, packed);
  PackPart<kBf16>(tile.q_rope, tile.lanes, tile.rope_dim, packed + tile.nope_dim * kQueryLanes);
}

// Scores of kKeys keys whose float32 rows stand `stride` elements apart.
template <int kKeys>
inline void ScoreKeys(const float* packed, int64_t dim, const float* rows, int64_t stride, float scale, float* scores) {
  F acc[kKeys];
  for (int t = 0; t < kKeys; ++t) acc[t] = Splat(0.0f);
  for (int64_t i = 0; i < dim; i += 2) {
    const F even = Load(packed + i * kQueryLanes);
    const F odd = Load(packed + (i + 1) * kQueryLanes);
#pragma GCC unroll 8
    for (int t = 0; t < kKeys; ++t) acc[t] = Fma(odd, Splat(rows[t * stride + i + 1]), acc[t]);
#pragma GCC unroll 8
    for (int t = 0; t < kKeys; ++t) acc[t] = Fma(even, Splat(rows[t * stride + i]), acc[t]);
  }
  for (int t = 0; t < kKeys; ++t) Store(scores + t * kQueryLanes, Mul(Splat(scale), acc[t]));
}

template <bool kBf16, int kKeys>
inline void ScoreTile(const AttentionTile& tile, int32_t key) {
  const int64_t dim = tile.nope_dim + tile.rope_dim;
  const std::byte* first = KeyAt<kBf16>(tile.keys, tile.key_stride, key);
  float* scores = tile.scores + static_cast<int64_t>(key) * kQueryLanes;
  const float* packed = static_cast<const float*>(tile.packed);
  if constexpr (kBf16) {
    alignas(64) float wide[kKeys * kKeyDimMax];
    for (int t = 0; t < kKeys; ++t) {
      for (int64_t i = 0; i < dim; i += 16) {
        Store(wide + t * kKeyDimMax + i, LoadElements(true, first + t * tile.key_stride * 2, i, dim - i));
      }
    }
    ScoreKeys<kKeys>(packed, dim, wide, kKeyDimMax, tile.scale, scores);
  } else {
    ScoreKeys<kKeys>(packed, dim, reinterpret_cast<const float*>(first), tile.key_stride, tile.scale, scores);
  }
}

template <bool kBf16>
inline void ScoresLanes(const AttentionTile& tile, int32_t first_key, int32_t end_key) {
  int32_t key = first_key;   // a multiple of 64, so that a tile never leaves its block
  for (; key + kScoreKeys <= end_key; key += kScoreKeys) ScoreTile<kBf16, kScoreKeys>(tile, key);
  for (; key < end_key; ++key) ScoreTile<kBf16, 1>(tile, key);
}

// How many keys each lane reads, as numbers; absent lanes read all, so that they need no mask.
struct LaneLimits {
  F limits;
  int32_t uniform;   // up to here every lane reads
};

inline LaneLimits LimitsOf(const AttentionTile& tile) {
  alignas(64) float limits[kQueryLanes];
  int32_t uniform = tile.keys_max;
  for (int lane = 0; lane < kQueryLanes; ++lane) {
    const int32_t keys = lane < tile.lanes ? tile.lane_keys[lane] : tile.keys_max;
    limits[lane] = static_cast<float>(keys);
    if (keys < uniform) uniform = keys;
  }
  return {Load(limits), uniform};
}

inline F MaxOfKeys(const AttentionTile& tile, const LaneLimits& limits) {
  F max = FromBits(SplatInt(static_cast<int32_t>(0xFF800000u)));
  for (int32_t key = 0; key < limits.uniform; ++key) max = Max(Load(tile.scores + key * kQueryLanes), max);
  for (int32_t key = limits.uniform; key < tile.keys_max; ++key) {
    const M reads = Less(Splat(static_cast<float>(key)), limits.limits);
    max = Select(reads, Max(Load(tile.scores + key * kQueryLanes), max), max);
  }
  return max;
}

// The probability of one key in every lane, unrounded; added to its one of the sixteen sums.
inline F Probability(const AttentionTile& tile, const LaneLimits& limits, int32_t key, F max, F* sums) {
  F p = Exp(Sub(Load(tile.scores + key * kQueryLanes), max));
  if (key >= limits.uniform) p = Select(Less(Splat(static_cast<float>(key)), limits.limits), p, Splat(0.0f));
  sums[key % 16] = Add(sums[key % 16], p);
  return p;
}

inline void StoreSegmentSums(AttentionTile* tile, F max, F* sums) {
  for (int half = 8; half >= 1; half /= 2) {
    for (int i = 0; i < half; ++i) sums[i] = Add(sums[i], sums[i + half]);
  }
  Store(tile->max, max);
  Store(tile->sum, sums[0]);
}

template <bool kBf16>
inline void SoftmaxLanes(AttentionTile* tile) {
  const LaneLimits limits = LimitsOf(*tile);
  const F max = MaxOfKeys(*tile, limits);
  F sums[16];
  for (F& sum : sums) sum = Splat(0.0f);
  for (int32_t key = 0; key < tile->keys_max; ++key) {
    const F p = Probability(*tile, limits, key, max, sums);
    Store(tile->scores + key * kQueryLanes, kBf16 ? ThroughBf16(p) : p);
  }
  StoreSegmentSums(tile, max, sums);
}

inline void MergeLanes(AttentionTile* tile, LaneState* state) {
  alignas(64) float active[kQueryLanes];   // 1 where the lane has keys here
  alignas(64) float old[kQueryLanes];      // 1 where it had some before
  uint32_t active_bits = 0;
  for (int lane = 0; lane < kQueryLanes; ++lane) {
    const bool has_keys = lane < tile->lanes && tile->lane_keys[lane] > 0;
    active[lane] = has_keys ? 1.0f : 0.0f;
    old[lane] = (state->seen >> lane & 1) != 0 ? 1.0f : 0.0f;
    active_bits |= static_cast<uint32_t>(has_keys) << lane;
  }
  const M is_active = Less(Splat(0.5f), Load(active));
  const M was_seen = Less(Splat(0.5f), Load(old));
  const F max_before = Load(state->max), sum_before = Load(state->sum), max_here = Load(tile->max), sum_here = Load(tile->sum);
  const F max = Max(max_before, max_here);
  const F keep = Exp(Sub(max_before, max));
  const F gain = Exp(Sub(max_here, max));
  const F sum = Fma(sum_before, keep, Mul(sum_here, gain));
  Store(tile->keep, keep);
  Store(tile->gain, gain);
  Store(state->max, Select(is_active, Select(was_seen, max, max_here), max_before));
  Store(state->sum, Select(is_active, Select(was_seen, sum, sum_here), sum_before));
  tile->first = active_bits & ~state->seen;
  state->seen |= active_bits;
}

// z of 16 columns of one lane, the segment's part merged in.
inline void MergeValues(const AttentionTile& tile, const ValueRange& range, int lane, int64_t column, F part, int64_t count) {
  float* z = range.z + lane * range.z_stride;
  if ((tile.first >> lane & 1) == 0) {
    part = Fma(LoadElements(false, z, column, count), Splat(tile.keep[lane]), Mul(part, Splat(tile.gain[lane])));
  }
  StoreElements(false, z, column, part, count);
}

// The rest of one lane's keys, from the even key `key` on, then its merge.
template <bool kBf16, int kVectors>
inline void FinishLane(const AttentionTile& tile, const ValueRange& range, int lane, int64_t column, int32_t key, F* acc, int64_t count) {
  const int32_t keys = tile.lane_keys[lane];
  if (keys == 0) return;
  const auto step = [&](int32_t at) {
    const std::byte* row = KeyAt<kBf16>(tile.values, tile.value_stride, at);
    const F p = Splat(tile.scores[at * kQueryLanes + lane]);
    for (int v = 0; v < kVectors; ++v) acc[v] = Fma(p, LoadElements(kBf16, row, column + 16 * v, count - 16 * v), acc[v]);
  };
  for (; key + 1 < keys; key += 2) {
    step(key + 1);
    step(key);
  }
  if (key < keys) {
    for (int v = 0; v < kVectors; ++v) acc[v] = Fma(Splat(0.0f), Splat(0.0f), acc[v]);   // the missing odd key
    step(key);
  }
  for (int v = 0; v < kVectors; ++v) MergeValues(tile, range, lane, column + 16 * v, acc[v], count - 16 * v);
}

// Columns column .. column + count - 1 (at most 16 * kVectors) of the lanes lane .. lane + kQueries - 1.
template <bool kBf16, int kQueries, int kVectors>
inline void ValueTile(const AttentionTile& tile, const ValueRange& range, int lane, int64_t column, int64_t count) {
  int32_t together = tile.lane_keys[lane];
  for (int q = 1; q < kQueries; ++q) together = tile.lane_keys[lane + q] < together ? tile.lane_keys[lane + q] : together;
  together &= ~1;
  F acc[kQueries][kVectors];
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) acc[q][v] = Splat(0.0f);
  }
  const bool whole = count == 16 * kVectors;
  for (int32_t pair = 0; pair < together; pair += 2) {
    for (int32_t key = pair + 1; key >= pair; --key) {   // the odd key first
      const std::byte* row = KeyAt<kBf16>(tile.values, tile.value_stride, key);
      const float* p = tile.scores + key * kQueryLanes + lane;
      F value[kVectors];
      for (int v = 0; v < kVectors; ++v) value[v] = LoadElements(kBf16, row, column + 16 * v, whole ? 16 : count - 16 * v);
#pragma GCC unroll 8
      for (int q = 0; q < kQueries; ++q) {
        const F weight = Splat(p[q]);
        for (int v = 0; v < kVectors; ++v) acc[q][v] = Fma(weight, value[v], acc[q][v]);
      }
    }
  }
  F rest[kQueries][kVectors];   // a copy in memory, so that the loop above keeps its accumulators in registers
#pragma GCC unroll 8
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) rest[q][v] = acc[q][v];
  }
  for (int q = 0; q < kQueries; ++q) FinishLane<kBf16, kVectors>(tile, range, lane + q, column, together, rest[q], count);
}

template <bool kBf16, int kQueries>
inline void ValueRows(const AttentionTile& tile, const ValueRange& range, int lane) {
  int64_t column = range.begin;
  for (; column + 16 * kValueVectors <= range.end; column += 16 * kValueVectors) {
    ValueTile<kBf16, kQueries, kValueVectors>(tile, range, lane, column, 16 * kValueVectors);
  }
  for (; column < range.end; column += 16) {
    ValueTile<kBf16, kQueries, 1>(tile, range, lane, column, range.end - column < 16 ? range.end - column : 16);
  }
}

template <bool kBf16>
inline void ValuesLanes(const AttentionTile& tile, const ValueRange& range) {
  int lane = 0;
  for (; lane + kValueQueries <= tile.lanes; lane += kValueQueries) ValueRows<kBf16, kValueQueries>(tile, range, lane);
  for (; lane < tile.lanes; ++lane) ValueRows<kBf16, 1>(tile, range, lane);
}

inline void FinishLanes(const float* z, float sum, int64_t count, bool bf16, void* out) {
  for (int64_t i = 0; i < count; i += 16) {
    StoreElements(bf16, out, i, Div(LoadElements(false, z, i, count - i), Splat(sum)), count - i);
  }
}

inline void PackAny(const AttentionTile& tile) { tile.bf16 ? PackLanes<true>(tile) : PackLanes<false>(tile); }
inline void ScoresAny(const AttentionTile& tile, int32_t first_key, int32_t end_key) {
  tile.bf16 ? ScoresLanes<true>(tile, first_key, end_key) : ScoresLanes<false>(tile, first_key, end_key);
}
inline void SoftmaxAny(AttentionTile* tile) { tile->bf16 ? SoftmaxLanes<true>(tile) : SoftmaxLanes<false>(tile); }
inline void ValuesAny(const AttentionTile& tile, const ValueRange& range) { tile.bf16 ? ValuesLanes<true>(tile, range) : ValuesLanes<false>(tile, range); }

}  // namespace
}  // namespace atoll::kernels
