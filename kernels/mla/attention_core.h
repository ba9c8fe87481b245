#pragma once

// The arithmetic of mla_rows.h for a tile of up to 16 queries over one segment of keys, once per instruction set. Queries lie in the
// lanes: 16 heads of one row in the decode form, 16 rows of one head in the prefill form. Internal to kernels/mla/.
//
// A core keeps its own layouts in `packed` and, after Softmax, in `scores`; only the same core reads them. No function here allocates
// or looks beyond a lane's own keys. Denormals must be flushed by the caller.

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"

namespace atoll::kernels {

inline constexpr int kQueryLanes = 16;
inline constexpr int kSegmentKeys = 1024;
inline constexpr int kKeyBlock = 64;                            // keys that lie at one address, a stride apart
inline constexpr int kSegmentBlocks = kSegmentKeys / kKeyBlock;
inline constexpr int kKeyDimMax = 1024;                         // a core may hold some key rows as float32 on its stack

// Running softmax state of the lanes over the segments so far; `seen` has a bit per lane that had a segment.
struct LaneState {
  alignas(64) float max[kQueryLanes];
  alignas(64) float sum[kQueryLanes];
  uint32_t seen = 0;
};

struct AttentionTile {
  bool bf16 = true;                                    // type of queries, keys and values; else float32
  int lanes = 0;
  int64_t nope_dim = 0;                                // q = [nope | rope], as a key row
  int64_t rope_dim = 0;
  const std::byte* q_nope[kQueryLanes];                // [lanes]
  const std::byte* q_rope[kQueryLanes];                // [lanes]
  void* packed = nullptr;                              // room for (nope_dim + rope_dim) * 16 float32
  float scale = 0;

  const std::byte* keys[kSegmentBlocks];               // block b holds keys 64 b .. of the segment
  const std::byte* values[kSegmentBlocks];
  int64_t key_stride = 0;                              // elements from one key to the next
  int64_t value_stride = 0;
  int32_t lane_keys[kQueryLanes];                      // [lanes] how many keys of the segment each lane reads, from key 0 on
  int32_t keys_max = 0;                                // the largest of them
  float* scores = nullptr;                             // room for 1024 * 16 float32

  alignas(64) float max[kQueryLanes];                  // of the segment, from Softmax
  alignas(64) float sum[kQueryLanes];
  alignas(64) float keep[kQueryLanes];                 // a and b of mla_rows.h, from Merge
  alignas(64) float gain[kQueryLanes];
  uint32_t first = 0;                                  // bit per lane: this is its first segment
};

// Value columns [begin, end) of all lanes; lane l accumulates in z + l * z_stride + column.
struct ValueRange {
  int64_t begin = 0;
  int64_t end = 0;
  float* z = nullptr;
  int64_t z_stride = 0;
};

struct AttentionCore {
  void (*pack_queries)(const AttentionTile& tile);
  void (*scores)(const AttentionTile& tile, int32_t first_key, int32_t end_key);   // first_key a multiple of 64
  void (*softmax)(AttentionTile* tile);                                            // scores -> probabilities, max, sum
  void (*merge)(AttentionTile* tile, LaneState* state);                            // keep, gain, first; state moves on
  void (*values)(const AttentionTile& tile, const ValueRange& range);              // z = z * keep + sum p v * gain
  void (*finish)(const float* z, float sum, int64_t count, bool bf16, void* out);  // out = round(z / sum)
};

extern const AttentionCore kAttentionReference;
extern const AttentionCore kAttentionAvx2;
extern const AttentionCore kAttentionAvx512;
extern const AttentionCore kAttentionAvx512Bf16;   // of float32 tiles: the same as kAttentionAvx512

const AttentionCore& AttentionCoreOf(Isa isa);

}  // namespace atoll::kernels
