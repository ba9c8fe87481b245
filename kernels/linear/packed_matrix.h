#pragma once

// Weights in the order in which the linear kernels read them: a copy of a matrix (or of a rectangle of one, or of its
// transpose) in its own dtype, so that one row of activations is one sequential read stream.
//
// Layout. Outputs are cut into panels of at most 64 that never cross a scale block; each panel holds, one after the other, its
// head (fp8: a KBlockHead per k block, padded to 64 bytes) and its k pairs in ascending order. A k block is what one scale
// covers: 128 inputs, less at the ends. Where an odd k block lacks an element, and beyond the panel's width, there are zero bytes,
// whatever they mean: they meet a zero of x, or nobody stores what they give. A pair is 64 outputs x 2 elements:
//   bf16: output o at (2 o, 2 o + 1);
//   f32:  first elements of all outputs, then second ones;
//   fp8:  packed codes (e4m3_packing.h) in two halves of 32 outputs, 64 bytes each; output o of a half at byte
//         16 (o % 16 / 4) + 8 (o / 16) + 2 (o % 4), so that interleaving a half's bytes with themselves (unpack low, unpack high)
//         gives outputs 0..15 and 16..31 in order.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"

namespace atoll::kernels {

inline constexpr int64_t kPanelOutputs = 64;
inline constexpr int64_t kScaleBlock = 128;

// The source: a row-major matrix as the checkpoint has it, and which rectangle of it is wanted. Borrowed.
struct PackSource {
  DType dtype = DType::kBF16;      // kBF16, kF32 or kF8E4M3
  const void* data = nullptr;      // element (0, 0) of the whole matrix
  int64_t row_stride = 0;          // elements
  const float* scales = nullptr;   // kF8E4M3 only: block (r / 128, c / 128) of the whole matrix; null: all 1
  int64_t scale_stride = 0;        // elements per row of blocks
  int64_t row0 = 0, rows = 0;      // the rectangle
  int64_t col0 = 0, cols = 0;
  bool transposed = false;         // false: rows are outputs, columns inputs; true: the other way round
};

// A view: whoever owns the bytes given to PackMatrix keeps them alive. Copy freely; reading is thread-safe.
struct PackedMatrix {
  DType dtype = DType::kBF16;
  int64_t outputs = 0;
  int64_t inputs = 0;
  int64_t first_outputs = 0;   // outputs before the first boundary of a scale block, 0 when aligned
  int64_t first_inputs = 0;    // likewise of the first k block
  int64_t panels = 0;
  int64_t panel_bytes = 0;     // from one panel to the next
  int64_t head_bytes = 0;      // of them before a panel's first pair
  const std::byte* data = nullptr;
};

struct PanelRange {
  int64_t first = 0;   // output
  int64_t width = 0;   // 1 to kPanelOutputs
};
PanelRange PanelOutputs(const PackedMatrix& matrix, int64_t panel);

// Weight (output, input), without its scale, and the scale that covers it (1 for bf16 and float32). For tests and references.
float PackedWeight(const PackedMatrix& matrix, int64_t output, int64_t input);
float PackedScale(const PackedMatrix& matrix, int64_t output, int64_t input);

// Bytes that PackMatrix needs, a multiple of 64; 0 for an empty or impossible source.
int64_t PackedBytes(const PackSource& source);

// Copies the rectangle into `to` (64-byte aligned, PackedBytes at least) and describes it in `packed`. An error for a shape that
// does not fit and for an fp8 weight that is NaN, naming row and column. Parallel over the panels; not for the hot path.
KernelError PackMatrix(const Context& context, const PackSource& source, std::span<std::byte> to, PackedMatrix* packed);

}  // namespace atoll::kernels
