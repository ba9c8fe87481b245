#pragma once

// Rotary position embedding of queries, and the key rows of the latent cache (spec 3.2 to 3.4).
//
// Numerics, per pair (a, b): angle = float(position) * frequency; c = Cos(angle) * magnitude, s = Sin(angle) * magnitude (math/
// float_functions.h); a' = fma(a, c, -(b * s)); b' = fma(a, s, b * c); one rounding where the target is bfloat16. The
// latent part of a key is RmsNorm (rms_norm/rms_norm.h) with one rounding. Every path gives the same bits.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"
#include "kernels/rope/rope_table.h"

namespace atoll::kernels {

struct RotateQueriesArgs {
  ConstMatrixView q;                      // float32 [rows, heads * (nope_dim + rope_dim)]
  std::span<const int32_t> positions;     // [rows]
  int64_t heads = 0;
  int64_t nope_dim = 0;                   // rope_dim is the table's
  MatrixView q_nope;                      // bfloat16 or float32 [rows, heads * nope_dim]: copied, rounded
  MatrixView q_rope;                      // the same type [rows, heads * rope_dim]: rotated, rounded
};
KernelError RotateQueries(const Context& context, const RopeTable& table, const RotateQueriesArgs& args);

struct WriteKeysArgs {
  ConstMatrixView kv_a;                    // float32 [rows, latent_dim + rope_dim]
  std::span<const int32_t> positions;      // [rows]
  std::span<const float> latent_weight;    // [latent_dim]: kv_a_layernorm
  float latent_eps = 1e-6f;
  DType dtype = DType::kBF16;              // of the pages: bfloat16 or float32
  std::span<std::byte* const> key_rows;    // [rows]: where [c | k_r] of each goes (mla/page_layout.h, KeyRow)
};
KernelError WriteKeys(const Context& context, const RopeTable& table, const WriteKeysArgs& args);

}  // namespace atoll::kernels
