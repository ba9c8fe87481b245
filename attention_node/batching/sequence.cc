#include "attention_node/batching/sequence.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace atoll::attention_node {

Sequence::Sequence(SequenceRequest request, int64_t arrival_ns)
    : request_(std::move(request)), tokens_(request_.prompt_ids), waiting_since_ns_(arrival_ns) {
  tokens_.insert(tokens_.end(), request_.generated_ids.begin(), request_.generated_ids.end());
}

SequencePhase Sequence::phase() const {
  if (!running_) return SequencePhase::kWaiting;
  return known() - computed_ == 1 ? SequencePhase::kDecoding : SequencePhase::kPrefilling;
}

void Sequence::TakePages(int32_t count, PagePool& pool, std::byte* memory, size_t page_bytes) {
  ATOLL_CHECK(pool.Allocate(count, pages_), absl::StrCat("the batcher gave ", count, " pages, ", pool.free_count(), " are free"));
  for (size_t i = page_addresses_.size(); i < pages_.size(); ++i) {
    page_addresses_.push_back(memory + static_cast<size_t>(pages_[i]) * page_bytes);
  }
}

void Sequence::ReleasePages(PagePool& pool) {
  pool.Free(pages_);
  page_addresses_.clear();
}

void Sequence::Start(int64_t now_ns) {
  running_ = true;
  times_.queue_ns += now_ns - waiting_since_ns_;
  waiting_since_ns_ = now_ns;
}

void Sequence::Preempt(PagePool& pool, int64_t now_ns) {
  ReleasePages(pool);
  running_ = false;
  computed_ = 0;
  waiting_since_ns_ = now_ns;
  times_.preemptions++;
}

void Sequence::AddComputed(int32_t row_count, int64_t step) {
  computed_ += row_count;
  last_step_ = step;
  ATOLL_CHECK(computed_ <= known(), absl::StrCat(computed_, " positions computed of ", known()));
}

}  // namespace atoll::attention_node
