#pragma once

// Latent attention on a device, both forms (mla_rows.h has the words). All addresses, those in page tables too, lie in device memory.
//
// Numerics of both forms, per row and head, n = position + 1 keys, in segments of 2,048 absolute positions:
// - score_j = scale * (sum over even elements + sum over odd elements), each by fma, ascending.
// - A segment begins with fresh m = -infinity, l = 0, z = 0 and walks its keys 32 at a time, by absolute position: M = max(m, largest score);
//   keep = Exp(m - M); p_j = Exp(score_j - M); l = fma(l, keep, sum of p_j as WarpSum adds 32 lanes); p_j rounded to bfloat16 (not in
//   float32 mode); z = z * keep, then z = fma(p_j, v_j, z) over the keys, ascending; m = M. A key beyond the row is never multiplied.
// - Segments merge in ascending order as in mla_rows.h, whoever computed them. The result is z / l, rounded once.
// So a row depends on its own keys and queries alone. A multiprocessor computes 16 queries at a time: heads of one row, or rows of one head.

#include "base/matrix_view.h"
#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/linear/device_weights.h"
#include "kernels/mla/mla_rows.h"

namespace atoll::kernels {

inline constexpr int64_t kDeviceMlaSegment = 2048;
inline constexpr int kTileQueries = 16;
inline constexpr int kTileKeys = 32;
inline constexpr uint32_t kAttentionThreads = 256;

// The absorbed form. Rows may belong to any sequences, in any order; queries have the pages' type.
struct MlaDecodeDeviceArgs {
  MlaShape shape = {};
  int64_t layer = 0;
  std::span<const MlaRow> rows = {};   // in device memory; checked by CheckMlaRows before they went there
  int64_t positions_max = 0;      // no row's position is at or above it
  ConstMatrixView qa = {};             // [*, heads * latent_dim]
  ConstMatrixView q_rope = {};         // [*, heads * rope_dim]
  MatrixView z = {};                   // [*, heads * latent_dim]
  std::span<std::byte> scratch = {};   // MlaDecodeDeviceScratchBytes
};
KernelError MlaDecode(DeviceStream& stream, const MlaDecodeDeviceArgs& args);
// 0 while one segment holds all positions.
int64_t MlaDecodeDeviceScratchBytes(const MlaShape& shape, int64_t rows, int64_t positions_max);

// Neighbouring rows of one sequence, whose positions follow each other.
struct DevicePrefillRun {
  std::byte* const* pages = nullptr;   // its page table
  int32_t first_position = 0;
  int32_t first_row = 0;               // in the query and output matrices
  int32_t rows = 0;
};

// The naive form, a run at a time.
struct MlaPrefillDeviceArgs {
  MlaShape shape = {};
  int64_t layer = 0;
  std::span<const DevicePrefillRun> runs = {};   // in host memory
  ConstMatrixView q_nope = {};                   // [*, heads * nope_dim]
  ConstMatrixView q_rope = {};                   // [*, heads * rope_dim]
  DeviceWeights kv_b = {};                       // [heads * (nope_dim + value_dim), latent_dim], one head
  MatrixView out = {};                           // [*, heads * value_dim]
  std::span<std::byte> scratch = {};             // MlaPrefillDeviceScratchBytes of the longest run
};
KernelError MlaPrefill(DeviceStream& stream, const MlaPrefillDeviceArgs& args);
int64_t MlaPrefillDeviceScratchBytes(const MlaShape& shape, int64_t run_rows_max);

// Of one segment of one row and head, or of all that were merged so far.
struct AttentionState {
  float max = 0;
  float sum = 0;
};

struct MlaDecodeParams {
  DevicePtr<const MlaRow> rows = {};
  int64_t heads = 0;
  int32_t latent_dim = 0, rope_dim = 0;
  int64_t layer_offset = 0;        // bytes, inside of a page
  float scale = 0;
  int64_t segments = 0;            // that partials have room for
  DeviceOperand qa = {}, q_rope = {}, z = {};
  DevicePtr<float> partial_z = {};      // [rows, segments, heads, latent_dim]
  DevicePtr<AttentionState> partial_states = {};
};
// Blocks (row, 16 heads, segment); a row of one segment is finished there, others by MlaMerge with a block per (row, head).
ATOLL_DECLARE_KERNEL(MlaDecodeBf16, kAttentionThreads, MlaDecodeParams);
ATOLL_DECLARE_KERNEL(MlaDecodeF32, kAttentionThreads, MlaDecodeParams);
ATOLL_DECLARE_KERNEL(MlaMerge, 128, MlaDecodeParams);

struct MlaGatherParams {
  DevicePtr<std::byte* const> pages = {};
  int64_t layer_offset = 0;
  int32_t first_key = 0;
  int32_t row_words = 0;           // of 4 bytes, of one key row
  DevicePtr<uint32_t> keys = {};        // [keys of the segment, row_words]
};
ATOLL_DECLARE_KERNEL(MlaGatherKeys, 128, MlaGatherParams);   // a block per key

struct MlaPrefillParams {
  int64_t heads = 0;
  int32_t nope_dim = 0, rope_dim = 0, value_dim = 0, latent_dim = 0;
  float scale = 0;
  int32_t segment = 0;
  int32_t first_position = 0;
  int32_t run_rows = 0;
  int32_t first_row = 0;
  DeviceOperand q_nope = {}, q_rope = {}, out = {};
  DevicePtr<const std::byte> keys = {};       // [segment's keys, latent_dim + rope_dim]
  DevicePtr<const std::byte> expanded = {};   // [segment's keys, heads * (nope_dim + value_dim)]
  DevicePtr<float> z = {};                    // [run_rows, heads, value_dim]
  DevicePtr<AttentionState> states = {};      // [run_rows, heads]
};
ATOLL_DECLARE_KERNEL(MlaPrefillBf16, kAttentionThreads, MlaPrefillParams);   // blocks (16 rows, head)
ATOLL_DECLARE_KERNEL(MlaPrefillF32, kAttentionThreads, MlaPrefillParams);

}  // namespace atoll::kernels
