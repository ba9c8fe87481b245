#pragma once

// The arithmetic of mla_cuda.h for 16 queries over one segment of keys by a block of 256 threads, inside of both forms. Two queries to a warp for
// scores and softmax (a key to a lane), columns of the values to the threads for z. Rows are in shared memory, an odd number of words apart.

#include "kernels/cuda/operand_access.h"
#include "kernels/math/lanes_device.h"
#include "kernels/mla/attention_space.h"
#include "kernels/mla/mla_cuda.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"

namespace atoll::kernels {
namespace {

constexpr int kAttentionWarps = static_cast<int>(kAttentionThreads) / kWarpLanes;
constexpr int kWarpQueries = kTileQueries / kAttentionWarps;
constexpr int kColumnsOfThread = kValueDimMax / static_cast<int>(kAttentionThreads);

ATOLL_DEVICE float2 LoadPair(const BFloat16* from) {
  const uint32_t pair = *reinterpret_cast<const uint32_t*>(from);
  return make_float2(std::bit_cast<float>(pair << 16), std::bit_cast<float>(pair & 0xFFFF0000u));
}
ATOLL_DEVICE float2 LoadPair(const float* from) { return make_float2(from[0], from[1]); }
ATOLL_DEVICE float Widen(BFloat16 value) { return ToFloat(value); }
ATOLL_DEVICE float Widen(float value) { return value; }

// What lies in shared memory; the sizes are attention_space.h's.
template <typename T>
struct AttentionTile {
  AttentionSpace space;
  T* queries;        // [kTileQueries]
  T* keys;           // [kTileKeys]
  const T* values;   // [kTileKeys]; may lie in the keys
  float* p;          // [kTileKeys][kProbabilityStride]
  float* keep;       // [kTileQueries]
  float* max;        // [kTileQueries]
  float* sum;        // [kTileQueries]
  int32_t* keys_of;  // [kTileQueries] keys of the segment that a query reads
};

template <typename T>
ATOLL_DEVICE AttentionTile<T> LayOut(const AttentionSpace& space, std::byte* memory) {
  AttentionTile<T> tile;
  tile.space = space;
  tile.p = reinterpret_cast<float*>(memory);
  tile.keep = tile.p + kTileKeys * kProbabilityStride;
  tile.max = tile.keep + kTileQueries;
  tile.sum = tile.max + kTileQueries;
  tile.keys_of = reinterpret_cast<int32_t*>(tile.sum + kTileQueries);
  tile.queries = reinterpret_cast<T*>(tile.keys_of + kTileQueries);
  tile.keys = tile.queries + kTileQueries * space.key_stride;
  tile.values = space.value_stride == 0 ? tile.keys : tile.keys + kTileKeys * space.key_stride;
  return tile;
}

template <typename T>
ATOLL_DEVICE int ValueStride(const AttentionTile<T>& tile) { return tile.space.value_stride == 0 ? tile.space.key_stride : tile.space.value_stride; }

template <typename T>
ATOLL_DEVICE float Score(const AttentionTile<T>& tile, int query, int key) {
  const T* const q = tile.queries + query * tile.space.key_stride;
  const T* const k = tile.keys + key * tile.space.key_stride;
  float even = 0, odd = 0;
  for (int i = 0; i < tile.space.key_dim; i += 2) {
    const float2 a = LoadPair(q + i), b = LoadPair(k + i);
    even = fmaf(a.x, b.x, even);
    odd = fmaf(a.y, b.y, odd);
  }
  return even + odd;
}

struct Running {
  float max;
  float sum;
};

// One query's probabilities of the tile's keys, of which it reads the first `count`.
template <typename T>
ATOLL_DEVICE void Softmax(const AttentionTile<T>& tile, int query, int count, float scale, Running& running) {
  const int key = static_cast<int>(threadIdx.x) % kWarpLanes;
  const float score = key < count ? scale * Score(tile, query, key) : MinusInfinity();
  const float largest = Max(running.max, WarpMax(score));
  const float keep = Exp(running.max - largest);
  const float p = key < count ? Exp(score - largest) : 0.0f;
  running.sum = fmaf(running.sum, keep, WarpSum(p));
  running.max = largest;
  tile.p[key * kProbabilityStride + query] = sizeof(T) == 2 ? ToFloat(ToBFloat16(p)) : p;
  if (key == 0) tile.keep[query] = keep;
}

struct Columns {
  float of[kTileQueries][kColumnsOfThread];
};

ATOLL_DEVICE int Clamp(int value, int low, int high) { return value < low ? low : (value > high ? high : value); }

// z of this thread's columns over the tile's keys; query q reads those below keys_of[q] - first_key.
template <typename T>
ATOLL_DEVICE void AddValues(const AttentionTile<T>& tile, int first_key, int keys_end, Columns& z) {
  bool whole = true;   // all queries read all keys here
  ATOLL_UNROLL_REGISTERS for (int query = 0; query < kTileQueries; ++query) {
    whole = whole && tile.keys_of[query] >= keys_end;
    ATOLL_UNROLL_REGISTERS for (int c = 0; c < kColumnsOfThread; ++c) z.of[query][c] *= tile.keep[query];
  }
  const int stride = ValueStride(tile);
  for (int key = 0; key < keys_end - first_key; ++key) {
    float v[kColumnsOfThread];
    ATOLL_UNROLL_REGISTERS for (int c = 0; c < kColumnsOfThread; ++c) {
      const int column = static_cast<int>(threadIdx.x) + c * static_cast<int>(kAttentionThreads);
      v[c] = column < tile.space.value_dim ? Widen(tile.values[key * stride + column]) : 0.0f;
    }
    ATOLL_UNROLL_REGISTERS for (int query = 0; query < kTileQueries; ++query) {
      if (!whole && first_key + key >= tile.keys_of[query]) continue;
      const float p = tile.p[key * kProbabilityStride + query];
      ATOLL_UNROLL_REGISTERS for (int c = 0; c < kColumnsOfThread; ++c) z.of[query][c] = fmaf(p, v[c], z.of[query][c]);
    }
  }
}

// One segment from fresh accumulators. Queries and keys_of are in place; `stage(first_key, count)` brings keys and values of the segment to the
// tile, all threads together. Afterwards z is in the threads and max and sum are in the tile.
template <typename T, typename Stage>
ATOLL_DEVICE void AttendSegment(const AttentionTile<T>& tile, int keys_max, float scale, const Stage& stage, Columns& z) {
  Running running[kWarpQueries];
  ATOLL_UNROLL_REGISTERS for (int i = 0; i < kWarpQueries; ++i) running[i] = {MinusInfinity(), 0.0f};
  ATOLL_UNROLL_REGISTERS for (int query = 0; query < kTileQueries; ++query) {
    ATOLL_UNROLL_REGISTERS for (int c = 0; c < kColumnsOfThread; ++c) z.of[query][c] = 0;
  }
  const int first_query = static_cast<int>(threadIdx.x) / kWarpLanes * kWarpQueries;
  for (int first_key = 0; first_key < keys_max; first_key += kTileKeys) {
    const int keys_end = min(first_key + kTileKeys, keys_max);
    __syncthreads();   // the tile before this has been read
    stage(first_key, keys_end - first_key);
    __syncthreads();
    ATOLL_UNROLL_REGISTERS for (int i = 0; i < kWarpQueries; ++i) {
      const int count = Clamp(tile.keys_of[first_query + i] - first_key, 0, kTileKeys);
      Softmax(tile, first_query + i, count, scale, running[i]);
    }
    __syncthreads();
    AddValues(tile, first_key, keys_end, z);
  }
  if (threadIdx.x % kWarpLanes == 0) {
    ATOLL_UNROLL_REGISTERS for (int i = 0; i < kWarpQueries; ++i) {
      tile.max[first_query + i] = running[i].max;
      tile.sum[first_query + i] = running[i].sum;
    }
  }
  __syncthreads();
}

struct MergeFactors {
  float keep, gain;   // a and b of mla_rows.h
};

// Merges a later segment's state into the earlier ones'.
ATOLL_DEVICE MergeFactors MergeStates(const AttentionState& segment, AttentionState& merged) {
  const float largest = Max(merged.max, segment.max);
  const MergeFactors factors = {Exp(merged.max - largest), Exp(segment.max - largest)};
  merged.sum = fmaf(merged.sum, factors.keep, segment.sum * factors.gain);
  merged.max = largest;
  return factors;
}

}  // namespace
}  // namespace atoll::kernels
