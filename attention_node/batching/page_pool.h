#pragma once

// Which pages of the latent cache are free. Exact: pages held by sequences + free pages == page_count, always; a page
// that is freed twice or was never handed out is a broken invariant. Owned by the step thread. No memory in here: a page
// id is an index into the memory that layers/page_memory.h owns, so accounting can be tested (and simulated) alone.

#include <cstdint>
#include <vector>

namespace atoll::attention_node {

using PageId = int32_t;

inline constexpr int32_t kPagePositions = 64;

// Pages that hold `positions` positions.
constexpr int32_t PagesFor(int64_t positions) {
  return static_cast<int32_t>((positions + kPagePositions - 1) / kPagePositions);
}

class PagePool {
 public:
  explicit PagePool(int32_t page_count);

  // Appends `count` pages to `pages`; false (and nothing changed) where fewer are free.
  [[nodiscard]] bool Allocate(int32_t count, std::vector<PageId>& pages);
  // Takes back every page of `pages` and empties it.
  void Free(std::vector<PageId>& pages);

  int32_t free_count() const { return static_cast<int32_t>(free_.size()); }
  int32_t page_count() const { return static_cast<int32_t>(held_.size()); }

 private:
  std::vector<PageId> free_;  // last in, first out: a page that was just used is still in the cache
  std::vector<bool> held_;
};

}  // namespace atoll::attention_node
