#include "attention_node/batching/batcher.h"

#include <algorithm>

#include "attention_node/batching/page_pool.h"

namespace atoll::attention_node {
namespace {

class Chooser {
 public:
  Chooser(std::span<const BatchCandidate> candidates, const BatchLimits& limits, BatchDecision& decision)
      : candidates_(candidates), rows_left_(limits.rows_max), pages_free_(limits.pages_free), decision_(decision),
        preempted_(candidates.size(), false), row_counts_(candidates.size(), 0), new_pages_(candidates.size(), 0) {
    for (const BatchCandidate& candidate : candidates) running_ += candidate.running;
    seats_left_ = limits.sequences_max - running_;
  }

  void Choose() {
    OrderDecodeRows();
    AddDecodeRows();
    AddRunningChunks();
    AdmitWaiting();
    FillWithDecodeRows();
    for (size_t i = 0; i < candidates_.size(); ++i) {
      if (preempted_[i]) decision_.preempted.push_back(static_cast<int32_t>(i));
      if (row_counts_[i] > 0) decision_.shares.push_back({static_cast<int32_t>(i), row_counts_[i], new_pages_[i]});
    }
  }

 private:
  int32_t Missing(size_t i) const { return candidates_[i].known - candidates_[i].computed; }

  void OrderDecodeRows() {
    for (size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].running && Missing(i) == 1) decoding_.push_back(i);
    }
    std::stable_sort(decoding_.begin(), decoding_.end(),
                     [&](size_t a, size_t b) { return candidates_[a].last_step < candidates_[b].last_step; });
  }

  void AddDecodeRows() {
    const int32_t kept_for_prompts = decoding_.size() < candidates_.size() ? rows_left_ / 4 : 0;
    for (const size_t i : decoding_) {
      if (rows_left_ <= kept_for_prompts) break;
      if (!preempted_[i] && HoldPages(i)) AddRows(i, 1);
    }
  }

  void FillWithDecodeRows() {
    for (const size_t i : decoding_) {
      if (rows_left_ == 0) break;
      if (preempted_[i] || row_counts_[i] > 0) continue;
      if (PagesFor(candidates_[i].known) <= candidates_[i].pages) AddRows(i, 1);
    }
  }

  void AddRunningChunks() {
    for (size_t i = 0; i < candidates_.size() && rows_left_ > 0; ++i) {
      if (!candidates_[i].running || preempted_[i] || Missing(i) <= 1) continue;
      if (HoldPages(i)) AddRows(i, std::min(Missing(i), rows_left_));
    }
  }

  void AdmitWaiting() {
    if (any_preempted_) return;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].running) continue;
      const int32_t pages = PagesFor(candidates_[i].known);
      if (seats_left_ == 0 || rows_left_ == 0 || pages > pages_free_) return;
      --seats_left_;
      pages_free_ -= pages;
      new_pages_[i] = pages;
      AddRows(i, std::min(Missing(i), rows_left_));
    }
  }

  // Pages for all known positions of running sequence i; preempts the youngest until they are there.
  bool HoldPages(size_t i) {
    const int32_t missing = PagesFor(candidates_[i].known) - candidates_[i].pages;
    if (missing <= 0) return true;
    while (pages_free_ < missing) {
      if (!PreemptYoungest() || preempted_[i]) return false;
    }
    pages_free_ -= missing;
    new_pages_[i] = missing;
    return true;
  }

  bool PreemptYoungest() {
    for (size_t i = candidates_.size(); i-- > 0;) {
      if (!candidates_[i].running || preempted_[i]) continue;
      preempted_[i] = any_preempted_ = true;
      pages_free_ += candidates_[i].pages + new_pages_[i];
      rows_left_ += row_counts_[i];
      row_counts_[i] = new_pages_[i] = 0;
      return true;
    }
    return false;
  }

  void AddRows(size_t i, int32_t count) {
    row_counts_[i] = count;
    rows_left_ -= count;
  }

  std::span<const BatchCandidate> candidates_;
  int32_t rows_left_;
  int32_t pages_free_;
  BatchDecision& decision_;
  std::vector<size_t> decoding_;  // the one that waited longest first
  std::vector<bool> preempted_;
  std::vector<int32_t> row_counts_;
  std::vector<int32_t> new_pages_;
  int32_t running_ = 0;
  int32_t seats_left_ = 0;
  bool any_preempted_ = false;
};

}  // namespace

void ChooseBatch(std::span<const BatchCandidate> candidates, const BatchLimits& limits, BatchDecision& decision) {
  decision.Clear();
  Chooser(candidates, limits, decision).Choose();
}

bool FitsEver(int64_t positions_max, int32_t page_count) { return PagesFor(positions_max) <= page_count; }

}  // namespace atoll::attention_node
