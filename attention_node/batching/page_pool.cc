#include "attention_node/batching/page_pool.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace atoll::attention_node {

PagePool::PagePool(int32_t page_count) : held_(page_count, false) {
  free_.reserve(page_count);
  for (PageId page = page_count - 1; page >= 0; --page) free_.push_back(page);
}

bool PagePool::Allocate(int32_t count, std::vector<PageId>& pages) {
  if (count > free_count()) return false;
  for (int32_t i = 0; i < count; ++i) {
    const PageId page = free_.back();
    free_.pop_back();
    held_[page] = true;
    pages.push_back(page);
  }
  return true;
}

void PagePool::Free(std::vector<PageId>& pages) {
  for (const PageId page : pages) {
    ATOLL_CHECK(page >= 0 && page < page_count() && held_[page], absl::StrCat("page ", page, " is not held"));
    held_[page] = false;
    free_.push_back(page);
  }
  pages.clear();
}

}  // namespace atoll::attention_node
