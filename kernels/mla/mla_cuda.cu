#include "kernels/cuda/device_code.h"
#include "kernels/mla/attention_tile.h"
#include "kernels/mla/mla_cuda.h"

namespace atoll::kernels {
namespace {

ATOLL_DEVICE const std::byte* KeyRowAt(std::byte* const* pages, int64_t layer_offset, int64_t position, int64_t row_bytes) {
  return pages[position / kPagePositions] + layer_offset + position % kPagePositions * row_bytes;
}

// `words` 4-byte words by all threads.
ATOLL_DEVICE void CopyWords(const std::byte* from, std::byte* to, int words, int thread, int threads) {
  for (int i = thread; i < words; i += threads) reinterpret_cast<uint32_t*>(to)[i] = reinterpret_cast<const uint32_t*>(from)[i];
}

ATOLL_DEVICE int WarpOfBlock() { return static_cast<int>(threadIdx.x) / kWarpLanes; }
ATOLL_DEVICE int LaneOfWarp() { return static_cast<int>(threadIdx.x) % kWarpLanes; }

// --- the absorbed form ---

// Queries beyond the last head are zeros; nobody stores what they give.
template <typename T>
ATOLL_DEVICE void StageHeads(const MlaDecodeParams& params, const AttentionTile<T>& tile, int64_t first_head, const MlaRow& row, int32_t keys) {
  const int latent = params.latent_dim, rope = params.rope_dim;
  const T* const qa = reinterpret_cast<const T*>(RowOf(params.qa, row.index));
  const T* const q_rope = reinterpret_cast<const T*>(RowOf(params.q_rope, row.index));
  for (int query = WarpOfBlock(); query < kTileQueries; query += kAttentionWarps) {
    const int64_t head = first_head + query;
    T* const to = tile.queries + query * tile.space.key_stride;
    for (int i = LaneOfWarp(); i < latent + rope; i += kWarpLanes) {
      if (head >= params.heads) to[i] = T{};
      else to[i] = i < latent ? qa[head * latent + i] : q_rope[head * rope + i - latent];
    }
    if (LaneOfWarp() == 0) tile.keys_of[query] = keys;
  }
}

template <typename T>
ATOLL_DEVICE void StoreDecode(const MlaDecodeParams& params, const AttentionTile<T>& tile, int64_t first_head, int64_t row, const Columns& z) {
  const bool finished = params.rows[row].position < kDeviceMlaSegment;
  std::byte* const out = RowOf(params.z, params.rows[row].index);
  const int64_t partial = (row * params.segments + blockIdx.z) * params.heads + first_head;
  ATOLL_UNROLL_REGISTERS for (int query = 0; query < kTileQueries; ++query) {
    if (first_head + query >= params.heads) continue;
    ATOLL_UNROLL_REGISTERS for (int c = 0; c < kColumnsOfThread; ++c) {
      const int column = static_cast<int>(threadIdx.x) + c * static_cast<int>(kAttentionThreads);
      if (column >= params.latent_dim) continue;
      if (finished) {
        PutElement(out, (first_head + query) * params.latent_dim + column, params.z.bf16, z.of[query][c] / tile.sum[query]);
      } else {
        params.partial_z[(partial + query) * params.latent_dim + column] = z.of[query][c];
      }
    }
    if (!finished && threadIdx.x == 0) params.partial_states[partial + query] = {tile.max[query], tile.sum[query]};
  }
}

template <typename T>
ATOLL_DEVICE void DecodeBlock(const MlaDecodeParams& params) {
  ATOLL_DYNAMIC_SHARED(memory);
  const MlaRow row = params.rows[blockIdx.x];
  const int64_t first_head = int64_t{blockIdx.y} * kTileQueries, first_position = int64_t{blockIdx.z} * kDeviceMlaSegment;
  if (first_position > row.position) return;
  const auto tile = LayOut<T>(DecodeSpace(params.latent_dim, params.rope_dim, sizeof(T)), memory);
  const int keys = static_cast<int>(min(int64_t{kDeviceMlaSegment}, row.position + 1 - first_position));
  StageHeads(params, tile, first_head, row, keys);
  const int row_words = tile.space.key_dim * static_cast<int>(sizeof(T)) / 4;
  const auto stage = [&](int first_key, int count) {
    for (int key = WarpOfBlock(); key < count; key += kAttentionWarps) {
      const std::byte* const from = KeyRowAt(row.pages, params.layer_offset, first_position + first_key + key, row_words * int64_t{4});
      CopyWords(from, reinterpret_cast<std::byte*>(tile.keys + key * tile.space.key_stride), row_words, LaneOfWarp(), kWarpLanes);
    }
  };
  Columns z;
  AttendSegment(tile, keys, params.scale, stage, z);
  StoreDecode(params, tile, first_head, blockIdx.x, z);
}

// --- the naive form ---

template <typename T>
ATOLL_DEVICE void StageRows(const MlaPrefillParams& params, const AttentionTile<T>& tile, int first_row) {
  const int nope = params.nope_dim, rope = params.rope_dim;
  const int64_t head = blockIdx.y;
  for (int query = WarpOfBlock(); query < kTileQueries; query += kAttentionWarps) {
    const int row = first_row + query;
    const bool there = row < params.run_rows;
    T* const to = tile.queries + query * tile.space.key_stride;
    const T* const q_nope = reinterpret_cast<const T*>(RowOf(params.q_nope, params.first_row + (there ? row : 0))) + head * nope;
    const T* const q_rope = reinterpret_cast<const T*>(RowOf(params.q_rope, params.first_row + (there ? row : 0))) + head * rope;
    for (int i = LaneOfWarp(); i < nope + rope; i += kWarpLanes) to[i] = !there ? T{} : (i < nope ? q_nope[i] : q_rope[i - nope]);
    if (LaneOfWarp() != 0) continue;
    const int64_t here = params.first_position + row + 1 - params.segment * kDeviceMlaSegment;
    tile.keys_of[query] = there ? Clamp(static_cast<int>(here), 0, static_cast<int>(kDeviceMlaSegment)) : 0;
  }
}

// Query `query`'s columns of this thread, merged with the segments before, to the running state or, after the row's last segment, to the output.
template <typename T>
ATOLL_DEVICE void StorePrefill(const MlaPrefillParams& params, const AttentionTile<T>& tile, int row, int query, const float (&z)[kColumnsOfThread]) {
  const int64_t head = blockIdx.y;
  AttentionState state = {tile.max[query], tile.sum[query]};
  MergeFactors factors = {0, 1};
  if (params.segment > 0) {
    const AttentionState segment = state;
    state = params.states[row * params.heads + head];
    factors = MergeStates(segment, state);
  }
  const bool last = (params.first_position + row) / kDeviceMlaSegment == params.segment;
  float* const running = params.z.address() + (row * params.heads + head) * params.value_dim;
  std::byte* const out = RowOf(params.out, params.first_row + row);
  ATOLL_UNROLL_REGISTERS for (int c = 0; c < kColumnsOfThread; ++c) {
    const int column = static_cast<int>(threadIdx.x) + c * static_cast<int>(kAttentionThreads);
    if (column >= params.value_dim) continue;
    const float merged = params.segment == 0 ? z[c] : fmaf(running[column], factors.keep, z[c] * factors.gain);
    if (last) PutElement(out, head * params.value_dim + column, params.out.bf16, merged / state.sum);
    else running[column] = merged;
  }
  if (threadIdx.x == 0) {   // the new state, stored when all threads have read the old one
    tile.p[2 * query] = state.max;
    tile.p[2 * query + 1] = state.sum;
  }
}

template <typename T>
ATOLL_DEVICE void PrefillBlock(const MlaPrefillParams& params) {
  ATOLL_DYNAMIC_SHARED(memory);
  const auto tile = LayOut<T>(PrefillSpace(params.nope_dim + params.rope_dim, params.value_dim, sizeof(T)), memory);
  const int first_row = static_cast<int>(blockIdx.x) * kTileQueries;
  const int last_row = min(first_row + kTileQueries, params.run_rows) - 1;
  const int64_t keys_max = params.first_position + last_row + 1 - params.segment * kDeviceMlaSegment;
  if (keys_max <= 0) return;
  StageRows(params, tile, first_row);
  const int64_t head_width = params.nope_dim + params.value_dim, head_column = blockIdx.y * head_width;
  const int64_t key_elements = params.latent_dim + params.rope_dim;
  const T* const key_rows = reinterpret_cast<const T*>(params.keys.address());
  const T* const expanded = reinterpret_cast<const T*>(params.expanded.address());
  const auto stage = [&](int first_key, int count) {
    for (int key = WarpOfBlock(); key < count; key += kAttentionWarps) {
      const T* const from = expanded + (first_key + key) * params.heads * head_width + head_column;
      const T* const rope = key_rows + (first_key + key) * key_elements + params.latent_dim;
      T* const to = tile.keys + key * tile.space.key_stride;
      for (int i = LaneOfWarp(); i < params.nope_dim + params.rope_dim; i += kWarpLanes) to[i] = i < params.nope_dim ? from[i] : rope[i - params.nope_dim];
      T* const value = const_cast<T*>(tile.values) + key * tile.space.value_stride;
      for (int i = LaneOfWarp(); i < params.value_dim; i += kWarpLanes) value[i] = from[params.nope_dim + i];
    }
  };
  Columns z;
  AttendSegment(tile, static_cast<int>(min(keys_max, int64_t{kDeviceMlaSegment})), params.scale, stage, z);
  ATOLL_UNROLL_REGISTERS for (int query = 0; query < kTileQueries; ++query) {
    if (tile.keys_of[query] > 0) StorePrefill(params, tile, first_row + query, query, z.of[query]);
  }
  __syncthreads();
  const int query = static_cast<int>(threadIdx.x);
  if (query < kTileQueries && tile.keys_of[query] > 0) {
    params.states[(first_row + query) * params.heads + blockIdx.y] = {tile.p[2 * query], tile.p[2 * query + 1]};
  }
}

}  // namespace

ATOLL_KERNEL(MlaDecodeBf16, MlaDecodeParams) { DecodeBlock<BFloat16>(params); }
ATOLL_KERNEL(MlaDecodeF32, MlaDecodeParams) { DecodeBlock<float>(params); }

ATOLL_KERNEL(MlaMerge, MlaDecodeParams) {
  const int64_t row = blockIdx.x, head = blockIdx.y;
  const int64_t segments = params.rows[row].position / kDeviceMlaSegment + 1;
  if (segments == 1) return;
  std::byte* const out = RowOf(params.z, params.rows[row].index);
  for (int64_t column = threadIdx.x; column < params.latent_dim; column += blockDim.x) {
    AttentionState state = {};
    float z = 0;
    for (int64_t segment = 0; segment < segments; ++segment) {
      const int64_t partial = (row * params.segments + segment) * params.heads + head;
      const float part = params.partial_z[partial * params.latent_dim + column];
      if (segment == 0) {
        state = params.partial_states[partial];
        z = part;
        continue;
      }
      const MergeFactors factors = MergeStates(params.partial_states[partial], state);
      z = fmaf(z, factors.keep, part * factors.gain);
    }
    PutElement(out, head * params.latent_dim + column, params.z.bf16, z / state.sum);
  }
}

ATOLL_KERNEL(MlaGatherKeys, MlaGatherParams) {
  const int64_t key = blockIdx.x;
  const std::byte* const from = KeyRowAt(params.pages.address(), params.layer_offset, params.first_key + key, params.row_words * int64_t{4});
  CopyWords(from, reinterpret_cast<std::byte*>(params.keys.address() + key * params.row_words), params.row_words, static_cast<int>(threadIdx.x),
            static_cast<int>(blockDim.x));
}

ATOLL_KERNEL(MlaPrefillBf16, MlaPrefillParams) { PrefillBlock<BFloat16>(params); }
ATOLL_KERNEL(MlaPrefillF32, MlaPrefillParams) { PrefillBlock<float>(params); }

}  // namespace atoll::kernels
