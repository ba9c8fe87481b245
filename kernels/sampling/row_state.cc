#include "kernels/sampling/row_state.h"

#include <algorithm>

namespace atoll::kernels {

namespace {

bool Before(const RowState::Entry& a, const RowState::Entry& b) { return a.token < b.token; }

}  // namespace

void RowState::AddPrompt(std::span<const int32_t> tokens) {
  for (int32_t token : tokens) entries_.push_back({.token = token, .generated = 0});
  std::stable_sort(entries_.begin(), entries_.end(), Before);
  size_t kept = 0;   // entries of one token become one
  for (const Entry& entry : entries_) {
    if (kept > 0 && entries_[kept - 1].token == entry.token) {
      entries_[kept - 1].generated += entry.generated;
    } else {
      entries_[kept++] = entry;
    }
  }
  entries_.resize(kept);
}

void RowState::AddGenerated(int32_t token) {
  const Entry wanted{.token = token, .generated = 1};
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), wanted, Before);
  if (at != entries_.end() && at->token == token) {
    at->generated += 1;
  } else {
    entries_.insert(at, wanted);
  }
}

}  // namespace atoll::kernels
