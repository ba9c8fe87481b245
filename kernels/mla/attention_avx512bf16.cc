// AttentionCore with the bfloat16 dot product. Layouts: packed [element pair][16] and, after Softmax, scores [key pair][16], one pair of
// bfloat16 per 32 bits, the even one low. Float32 tiles go the way of kAttentionAvx512.

#include "kernels/math/lanes_avx512.h"
// After the lanes that it is written over.
#include "kernels/mla/attention_lanes.h"

namespace atoll::kernels {

namespace {

inline constexpr int kDotKeys = 16;
inline constexpr int kDotQueries = 8;
inline constexpr int kPrefetchKeys = 64;   // how far the columns of value rows are fetched ahead: each is a line of its own

inline F Dot(F acc, I x, I y) { return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(y)); }

inline int32_t PairAt(const std::byte* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return pair;
}

// A pair of bfloat16 is moved like one float32.
void PackPairs(const AttentionTile& tile) {
  float* packed = static_cast<float*>(tile.packed);
  PackPart<false>(tile.q_nope, tile.lanes, tile.nope_dim / 2, packed);
  PackPart<false>(tile.q_rope, tile.lanes, tile.rope_dim / 2, packed + tile.nope_dim / 2 * kQueryLanes);
}

// kKeys keys at once: one load of query pairs feeds as many dot products, each with a pair broadcast from its key row.
template <int kKeys>
void ScorePairs(const AttentionTile& tile, int32_t key) {
  const int32_t* packed = static_cast<const int32_t*>(tile.packed);
  const int64_t stride = tile.key_stride * 2;
  const std::byte* row = KeyAt<true>(tile.keys, tile.key_stride, key);
  // The rows of the keys after these, one line per step: sixteen streams at once are too many for the hardware to foresee.
  const std::byte* ahead = KeyAt<true>(tile.keys, tile.key_stride, key + kKeys < tile.keys_max ? key + kKeys : key);
  F acc[kKeys];
  for (int t = 0; t < kKeys; ++t) acc[t] = Splat(0.0f);
  for (int64_t pairs = (tile.nope_dim + tile.rope_dim) / 2; pairs > 0; --pairs, packed += kQueryLanes, row += 4, ahead += kKeys * 4) {
    const I q = _mm512_loadu_si512(packed);
    _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T0);
#pragma GCC unroll 16
    for (int t = 0; t < kKeys; ++t) acc[t] = Dot(acc[t], q, SplatInt(PairAt(row + t * stride)));
  }
  float* scores = tile.scores + static_cast<int64_t>(key) * kQueryLanes;
  for (int t = 0; t < kKeys; ++t) Store(scores + t * kQueryLanes, Mul(Splat(tile.scale), acc[t]));
}

void ScoresPairs(const AttentionTile& tile, int32_t first_key, int32_t end_key) {
  if (!tile.bf16) return ScoresLanes<false>(tile, first_key, end_key);
  int32_t key = first_key;
  for (; key + kDotKeys <= end_key; key += kDotKeys) ScorePairs<kDotKeys>(tile, key);
  for (; key + 4 <= end_key; key += 4) ScorePairs<4>(tile, key);
  for (; key < end_key; ++key) ScorePairs<1>(tile, key);
}

inline I Rounded(F x) { return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x))); }

void SoftmaxPairs(AttentionTile* tile) {
  if (!tile->bf16) return SoftmaxLanes<false>(tile);
  const LaneLimits limits = LimitsOf(*tile);
  const F max = MaxOfKeys(*tile, limits);
  F sums[16];
  for (F& sum : sums) sum = Splat(0.0f);
  int32_t* pairs = reinterpret_cast<int32_t*>(tile->scores);   // pair i overwrites nothing that is still to be read
  for (int32_t key = 0; key < tile->keys_max; key += 2) {
    I pair = Rounded(Probability(*tile, limits, key, max, sums));
    if (key + 1 < tile->keys_max) pair = Or(pair, ShiftLeft<16>(Rounded(Probability(*tile, limits, key + 1, max, sums))));
    _mm512_storeu_si512(pairs + key / 2 * kQueryLanes, pair);
  }
  StoreSegmentSums(tile, max, sums);
}

// 32 columns of two value rows as pairs: columns 0-3, 8-11, 16-19, 24-27 in `low`, the others in `high`.
struct ValuePairs {
  I low, high;
};
inline ValuePairs Interleave(I even, I odd) { return {_mm512_unpacklo_epi16(even, odd), _mm512_unpackhi_epi16(even, odd)}; }
inline I LoadColumns(const std::byte* row, int64_t column, __mmask32 mask) { return _mm512_maskz_loadu_epi16(mask, row + 2 * column); }

inline void MergePairs(const AttentionTile& tile, const ValueRange& range, int lane, int64_t column, const F* acc, int64_t count) {
  const I first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const I second = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  MergeValues(tile, range, lane, column, _mm512_permutex2var_ps(acc[0], first, acc[1]), count);
  if (count > 16) MergeValues(tile, range, lane, column + 16, _mm512_permutex2var_ps(acc[0], second, acc[1]), count - 16);
}

inline void FinishPairs(const AttentionTile& tile, const ValueRange& range, int lane, int64_t column, int32_t key, F* acc, int64_t count) {
  const int32_t keys = tile.lane_keys[lane];
  if (keys == 0) return;
  const __mmask32 mask = count >= 32 ? 0xFFFFFFFFu : (1u << count) - 1u;
  const int32_t* pairs = reinterpret_cast<const int32_t*>(tile.scores);
  for (; key < keys; key += 2) {
    const I even = LoadColumns(KeyAt<true>(tile.values, tile.value_stride, key), column, mask);
    const I odd = key + 1 < keys ? LoadColumns(KeyAt<true>(tile.values, tile.value_stride, key + 1), column, mask) : _mm512_setzero_si512();
    const ValuePairs value = Interleave(even, odd);
    const I p = SplatInt(pairs[key / 2 * kQueryLanes + lane]);
    acc[0] = Dot(acc[0], p, value.low);
    acc[1] = Dot(acc[1], p, value.high);
  }
  MergePairs(tile, range, lane, column, acc, count);
}

template <int kQueries>
void ValueTilePairs(const AttentionTile& tile, const ValueRange& range, int lane, int64_t column) {
  const int64_t count = range.end - column < 32 ? range.end - column : 32;
  const __mmask32 mask = count == 32 ? 0xFFFFFFFFu : (1u << count) - 1u;
  int32_t together = tile.lane_keys[lane];
  for (int q = 1; q < kQueries; ++q) together = tile.lane_keys[lane + q] < together ? tile.lane_keys[lane + q] : together;
  together &= ~1;
  F acc[kQueries][2];
  for (int q = 0; q < kQueries; ++q) acc[q][0] = acc[q][1] = Splat(0.0f);
  const int32_t* pairs = reinterpret_cast<const int32_t*>(tile.scores) + lane;
  for (int32_t key = 0; key < together; key += 2, pairs += kQueryLanes) {
    const std::byte* row = KeyAt<true>(tile.values, tile.value_stride, key);   // a block is even: the next key stands behind
    const ValuePairs value = Interleave(LoadColumns(row, column, mask), LoadColumns(row + 2 * tile.value_stride, column, mask));
    const std::byte* ahead = KeyAt<true>(tile.values, tile.value_stride, key + kPrefetchKeys < together ? key + kPrefetchKeys : key) + 2 * column;
    _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(ahead + 2 * tile.value_stride), _MM_HINT_T0);
#pragma GCC unroll 8
    for (int q = 0; q < kQueries; ++q) {
      const I p = SplatInt(pairs[q]);
      acc[q][0] = Dot(acc[q][0], p, value.low);
      acc[q][1] = Dot(acc[q][1], p, value.high);
    }
  }
  F rest[kQueries][2];   // a copy in memory, so that the loop above keeps its accumulators in registers
#pragma GCC unroll 8
  for (int q = 0; q < kQueries; ++q) rest[q][0] = acc[q][0], rest[q][1] = acc[q][1];
  for (int q = 0; q < kQueries; ++q) FinishPairs(tile, range, lane + q, column, together, rest[q], count);
}

void ValuesPairs(const AttentionTile& tile, const ValueRange& range) {
  if (!tile.bf16) return ValuesLanes<false>(tile, range);
  for (int64_t column = range.begin; column < range.end; column += 32) {
    int lane = 0;
    for (; lane + kDotQueries <= tile.lanes; lane += kDotQueries) ValueTilePairs<kDotQueries>(tile, range, lane, column);
    for (; lane < tile.lanes; ++lane) ValueTilePairs<1>(tile, range, lane, column);
  }
}

void PackPairsOrFloats(const AttentionTile& tile) { tile.bf16 ? PackPairs(tile) : PackLanes<false>(tile); }

}  // namespace

const AttentionCore kAttentionAvx512Bf16 = {PackPairsOrFloats, ScoresPairs, SoftmaxPairs, MergeLanes, ValuesPairs, FinishLanes};

}  // namespace atoll::kernels
