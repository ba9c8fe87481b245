#pragma once

// Latent attention in the naive form (spec 3.2): keys and values of each head expanded from the pages through kv_b and rounded to
// the activation dtype. Numerics: mla_rows.h with q = [q_nope | q_rope], k_j = [UK c_j | k_r_j], v_j = UV c_j; the expansions
// are Linear's (linear/linear.h). One expansion serves all rows of a sequence that are neighbours in `rows`.

#include "kernels/linear/packed_matrix.h"
#include "kernels/mla/mla_rows.h"

namespace atoll::kernels {

struct MlaPrefillArgs {
  MlaShape shape;
  int64_t layer = 0;
  std::span<const MlaRow> rows;
  ConstMatrixView q_nope;               // [*, heads * nope_dim]
  ConstMatrixView q_rope;               // [*, heads * rope_dim]
  std::span<const PackedMatrix> uk;     // [heads] of [nope_dim outputs, latent_dim inputs]
  std::span<const PackedMatrix> uv;     // [heads] of [value_dim outputs, latent_dim inputs]
  MatrixView out;                       // [*, heads * value_dim]
  int64_t rows_max = 0;                 // of one sequence that share an expansion: what the scratch was sized for
  std::span<std::byte> scratch;         // MlaPrefillScratchBytes; aligned to 64 bytes
};

// Rows of one sequence (the same page table) should stand together; runs longer than rows_max are taken in several passes. Matrices have the pages' dtype; rows that no MlaRow names are left alone.
KernelError MlaPrefill(const Context& context, const MlaPrefillArgs& args);

int64_t MlaPrefillScratchBytes(const MlaShape& shape, int64_t rows_max, int threads);

}  // namespace atoll::kernels
