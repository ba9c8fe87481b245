// The specification of mla_rows.h's arithmetic in plain loops. Layouts: packed [element][16] and scores [key][16], float32.

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/dtype.h"
#include "kernels/math/lanes_scalar.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"
#include "kernels/mla/attention_core.h"

namespace atoll::kernels {

namespace {

float Element(const std::byte* row, int64_t index, bool bf16) {
  return bf16 ? ToFloat(reinterpret_cast<const BFloat16*>(row)[index]) : reinterpret_cast<const float*>(row)[index];
}

const std::byte* Row(const std::byte* const* blocks, int64_t stride, int64_t key, bool bf16) {
  return blocks[key / kKeyBlock] + (key % kKeyBlock) * stride * (bf16 ? 2 : 4);
}

void PackQueries(const AttentionTile& tile) {
  float* packed = static_cast<float*>(tile.packed);
  for (int lane = 0; lane < tile.lanes; ++lane) {
    for (int64_t i = 0; i < tile.nope_dim; ++i) packed[i * kQueryLanes + lane] = Element(tile.q_nope[lane], i, tile.bf16);
    for (int64_t i = 0; i < tile.rope_dim; ++i) packed[(tile.nope_dim + i) * kQueryLanes + lane] = Element(tile.q_rope[lane], i, tile.bf16);
  }
}

float Dot(const AttentionTile& tile, int lane, const std::byte* key) {
  const float* q = static_cast<const float*>(tile.packed);
  float acc = 0;
  for (int64_t i = 0; i < tile.nope_dim + tile.rope_dim; i += 2) {
    acc = std::fma(q[(i + 1) * kQueryLanes + lane], Element(key, i + 1, tile.bf16), acc);
    acc = std::fma(q[i * kQueryLanes + lane], Element(key, i, tile.bf16), acc);
  }
  return acc;
}

void Scores(const AttentionTile& tile, int32_t first_key, int32_t end_key) {
  for (int32_t key = first_key; key < end_key; ++key) {
    const std::byte* row = Row(tile.keys, tile.key_stride, key, tile.bf16);
    for (int lane = 0; lane < tile.lanes; ++lane) {
      if (key < tile.lane_keys[lane]) tile.scores[key * kQueryLanes + lane] = tile.scale * Dot(tile, lane, row);
    }
  }
}

void SoftmaxLane(AttentionTile* tile, int lane) {
  const int32_t keys = tile->lane_keys[lane];
  float max = -std::numeric_limits<float>::infinity();
  for (int32_t key = 0; key < keys; ++key) max = Max(tile->scores[key * kQueryLanes + lane], max);
  float sums[16] = {};
  for (int32_t key = 0; key < keys; ++key) {
    float& score = tile->scores[key * kQueryLanes + lane];
    const float p = Exp(score - max);
    sums[key % 16] += p;
    score = tile->bf16 ? ToFloat(ToBFloat16(p)) : p;
  }
  for (int half = 8; half >= 1; half /= 2) {
    for (int i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  tile->max[lane] = max;
  tile->sum[lane] = sums[0];
}

void Softmax(AttentionTile* tile) {
  for (int lane = 0; lane < tile->lanes; ++lane) SoftmaxLane(tile, lane);
}

void Merge(AttentionTile* tile, LaneState* state) {
  tile->first = 0;
  for (int lane = 0; lane < tile->lanes; ++lane) {
    if (tile->lane_keys[lane] == 0) continue;
    const uint32_t bit = 1u << lane;
    if ((state->seen & bit) == 0) {
      tile->first |= bit;
      state->seen |= bit;
      state->max[lane] = tile->max[lane];
      state->sum[lane] = tile->sum[lane];
      continue;
    }
    const float max = Max(state->max[lane], tile->max[lane]);
    tile->keep[lane] = Exp(state->max[lane] - max);
    tile->gain[lane] = Exp(tile->max[lane] - max);
    state->sum[lane] = std::fma(state->sum[lane], tile->keep[lane], tile->sum[lane] * tile->gain[lane]);
    state->max[lane] = max;
  }
}

float WeightedSum(const AttentionTile& tile, int lane, int64_t column) {
  const int32_t keys = tile.lane_keys[lane];
  float acc = 0;
  for (int32_t key = 0; key < keys; key += 2) {
    const bool pair = key + 1 < keys;
    const float odd_p = pair ? tile.scores[(key + 1) * kQueryLanes + lane] : 0;
    const float odd_v = pair ? Element(Row(tile.values, tile.value_stride, key + 1, tile.bf16), column, tile.bf16) : 0;
    acc = std::fma(odd_p, odd_v, acc);
    acc = std::fma(tile.scores[key * kQueryLanes + lane], Element(Row(tile.values, tile.value_stride, key, tile.bf16), column, tile.bf16), acc);
  }
  return acc;
}

void Values(const AttentionTile& tile, const ValueRange& range) {
  for (int lane = 0; lane < tile.lanes; ++lane) {
    if (tile.lane_keys[lane] == 0) continue;
    for (int64_t column = range.begin; column < range.end; ++column) {
      float& z = range.z[lane * range.z_stride + column];
      const float part = WeightedSum(tile, lane, column);
      z = (tile.first >> lane & 1) != 0 ? part : std::fma(z, tile.keep[lane], part * tile.gain[lane]);
    }
  }
}

void Finish(const float* z, float sum, int64_t count, bool bf16, void* out) {
  for (int64_t i = 0; i < count; ++i) {
    if (bf16) {
      static_cast<BFloat16*>(out)[i] = ToBFloat16(z[i] / sum);
    } else {
      static_cast<float*>(out)[i] = z[i] / sum;
    }
  }
}

}  // namespace

const AttentionCore kAttentionReference = {PackQueries, Scores, Softmax, Merge, Values, Finish};

}  // namespace atoll::kernels
