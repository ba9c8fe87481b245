#pragma once

// Bytes of a page: 64 positions of one sequence, all layers. A layer's slice is [64][latent_dim + rope_dim] in the activation
// dtype, row [c | k_r] per position; slices follow each other in layer order (the MTP layer is the last one).

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace atoll::kernels {

inline constexpr int64_t kPagePositions = 64;

struct PageLayout {
  int64_t layers = 0;
  int64_t latent_dim = 0;   // dc
  int64_t rope_dim = 0;     // dr
  DType dtype = DType::kBF16;

  int64_t RowElements() const { return latent_dim + rope_dim; }
  int64_t RowBytes() const { return RowElements() * DTypeBytes(dtype); }
  int64_t LayerBytes() const { return kPagePositions * RowBytes(); }
  int64_t PageBytes() const { return layers * LayerBytes(); }
  int64_t LayerOffset(int64_t layer) const { return layer * LayerBytes(); }
};

// The page that holds a position, as an index into its sequence's page table, and the position's row inside the page.
constexpr int64_t PageIndex(int64_t position) { return position / kPagePositions; }
constexpr int64_t RowInPage(int64_t position) { return position % kPagePositions; }

// Where a position's key row of a layer lies. `pages` is the sequence's page table: base address of page i at pages[i].
inline std::byte* KeyRow(const PageLayout& layout, std::byte* const* pages, int64_t layer, int64_t position) {
  return pages[PageIndex(position)] + layout.LayerOffset(layer) + RowInPage(position) * layout.RowBytes();
}

}  // namespace atoll::kernels
