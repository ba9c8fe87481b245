#pragma once

// Latent attention in the absorbed form (spec 3.3): queries in the latent space, the cache as keys and values. Numerics: mla_rows.h with
// q = [qa | q_rope], k_j = [c_j | k_r_j], v_j = c_j.

#include "kernels/mla/mla_rows.h"

namespace atoll::kernels {

struct MlaDecodeArgs {
  MlaShape shape;
  int64_t layer = 0;
  std::span<const MlaRow> rows;
  ConstMatrixView qa;             // [*, heads * latent_dim]: q_nope through UK^T of its head, rounded
  ConstMatrixView q_rope;         // [*, heads * rope_dim]
  MatrixView z;                   // [*, heads * latent_dim]: still to go through UV of its head
  std::span<std::byte> scratch;   // MlaDecodeScratchBytes; aligned to 64 bytes
};

// Rows may belong to any sequences, in any order. Matrices have the pages' dtype; rows that no MlaRow names are left alone.
KernelError MlaDecode(const Context& context, const MlaDecodeArgs& args);

// Does not depend on the number of rows or keys: a call takes as many passes as its rows need.
int64_t MlaDecodeScratchBytes(const MlaShape& shape, int threads);

}  // namespace atoll::kernels
