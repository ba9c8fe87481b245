#include "attention_node/intake/mailbox.h"

#include <utility>

namespace atoll::attention_node {

absl::Status Mailbox::Submit(SequenceRequest request) {
  std::lock_guard lock(mutex_);
  const int64_t waiting = waiting_ + static_cast<int64_t>(mail_.submitted.size());
  if (waiting >= waiting_max_) {
    return absl::ResourceExhaustedError(absl::StrCat("the attention node's queue is full: ", waiting, " sequences wait (--max-queued)"));
  }
  if (!live_.insert(request.key).second) return absl::AlreadyExistsError(absl::StrCat("sequence ", request.key.id, " lives already"));
  mail_.submitted.push_back(std::move(request));
  return absl::OkStatus();
}

void Mailbox::Cancel(SequenceKey key) {
  std::lock_guard lock(mutex_);
  if (live_.contains(key)) mail_.cancelled.insert(key);
}

void Mailbox::CancelStream(uint64_t stream) {
  std::lock_guard lock(mutex_);
  for (auto key = live_.lower_bound({stream, 0}); key != live_.end() && key->stream == stream; ++key) mail_.abandoned.insert(*key);
}

Mailbox::Mail Mailbox::Take() {
  std::lock_guard lock(mutex_);
  waiting_ += static_cast<int32_t>(mail_.submitted.size());
  return std::exchange(mail_, {});
}

void Mailbox::Settle(std::span<const SequenceKey> ended, int32_t waiting) {
  std::lock_guard lock(mutex_);
  for (const SequenceKey& key : ended) live_.erase(key);
  waiting_ = waiting;
}

int32_t Mailbox::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_ + static_cast<int32_t>(mail_.submitted.size());
}

}  // namespace atoll::attention_node
