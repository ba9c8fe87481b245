#include "attention_node/trace/step_recorder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace atoll::attention_node {
namespace {

bool Has(std::span<const StepShare> shares, const std::string& request_id) {
  if (request_id.empty()) return true;
  return std::any_of(shares.begin(), shares.end(), [&](const StepShare& share) { return share.sequence->request().request_id == request_id; });
}

}  // namespace

absl::StatusOr<uint64_t> StepRecorder::Ask(std::string request_id, Taker taker) {
  std::lock_guard lock(mutex_);
  if (askers_.size() >= kStepAskersMax) {
    return absl::ResourceExhaustedError(absl::StrCat(askers_.size(), " others wait for the record of a step already; try again later"));
  }
  askers_.push_back({next_number_, std::move(request_id), std::move(taker)});
  asked_ = true;
  return next_number_++;
}

void StepRecorder::Forget(uint64_t number) {
  std::lock_guard lock(mutex_);
  std::erase_if(askers_, [&](const Asker& asker) { return asker.number == number; });
  asked_ = !askers_.empty();
}

StepTrace* StepRecorder::Begin(std::span<const StepShare> shares, bool anyway) {
  const bool asked = asked_.load(std::memory_order_relaxed);
  if (!asked && !anyway) return nullptr;
  if (asked) {
    std::lock_guard lock(mutex_);
    const auto served = std::stable_partition(askers_.begin(), askers_.end(), [&](const Asker& asker) { return !Has(shares, asker.request_id); });
    std::move(served, askers_.end(), std::back_inserter(served_));
    askers_.erase(served, askers_.end());
    asked_ = !askers_.empty();
  }
  if (served_.empty() && !anyway) return nullptr;
  trace_ = StepTrace{};
  for (const StepShare& share : shares.first(std::min(shares.size(), kTracedRequestsMax))) {
    trace_.request_ids.push_back(share.sequence->request().request_id);
  }
  return &trace_;
}

void StepRecorder::End() {
  for (const Asker& asker : served_) asker.taker(trace_);
  served_.clear();
}

}  // namespace atoll::attention_node
