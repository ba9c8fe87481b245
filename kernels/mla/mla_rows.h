#pragma once

// What both forms of latent attention share: shapes and rows.
//
// Numerics of both forms, per row and head, with n = position + 1 keys:
// - score_j = scale * dot(q, k_j); the dot in ascending pairs, odd element first (fma), one accumulator.
// - Keys are taken in segments of 1,024 absolute positions. Per segment: m = max score; p_j = Exp(score_j - m); l = sum of
//   p_j in 16 lanes (key j in lane j % 16), ascending, then the tree of rms_norm.h; p_j rounded to bfloat16 (not in float32
//   mode); z[d] = sum of p_j * v_j[d] over key pairs (2i, 2i + 1) ascending, odd key first (fma), one accumulator from 0. A
//   key beyond the row counts as 0 with probability 0: neither is read.
// - Segments merge ascending: M = max(m', m); a = Exp(m' - M), b = Exp(m - M); l' = fma(l', a, l * b);
//   z' = fma(z', a, z * b); m' = M. The first segment is taken as it is. The result is z' / l', rounded once.
// Every path gives the same bits, whatever rows are together in a call and however many threads share it.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/kernel_error.h"
#include "kernels/mla/page_layout.h"

namespace atoll::kernels {

inline constexpr int64_t kMlaSegment = 1024;

struct MlaShape {
  int64_t heads = 0;
  int64_t nope_dim = 0;     // dn; even
  int64_t value_dim = 0;    // dv
  PageLayout pages;         // latent_dim dc (even), rope_dim dr (even), dtype of pages, queries and outputs
  float scale = 0;          // rope/rope_table.h, SoftmaxScale
};

// A row attends to keys 0 .. position of its sequence, all of which must have been written to the pages.
struct MlaRow {
  std::byte* const* pages = nullptr;   // the sequence's page table: base address of page i at pages[i]
  int32_t position = 0;
  int32_t index = 0;                   // its row in the query and output matrices
};

}  // namespace atoll::kernels
