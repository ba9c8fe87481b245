#pragma once

// The calls of a target that run, so that they can be cancelled one by one, and all of them at the end. Thread-safe. A call
// is shared by this list, until it is removed, and by whoever is cancelling it or waits for its operations.

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace atoll::load {

// Call has a thread-safe Cancel(), which may lead to Remove on the same thread: no lock is held around it.
template <typename Call>
class RunningCalls {
 public:
  void Add(uint64_t index, std::shared_ptr<Call> call) {
    std::lock_guard lock(mutex_);
    calls_[index] = std::move(call);
  }
  // The call's owner is given back, so that it ends outside of the lock.
  std::shared_ptr<Call> Remove(uint64_t index) {
    std::lock_guard lock(mutex_);
    auto node = calls_.extract(index);
    if (calls_.empty()) none_.notify_all();
    return node ? std::move(node.mapped()) : nullptr;
  }
  void Cancel(uint64_t index) {
    std::shared_ptr<Call> call;
    {
      std::lock_guard lock(mutex_);
      if (const auto found = calls_.find(index); found != calls_.end()) call = found->second;
    }
    if (call) call->Cancel();
  }
  // No call is added any more.
  void CancelAllAndWait() {
    std::vector<uint64_t> indices;
    {
      std::lock_guard lock(mutex_);
      for (const auto& [index, call] : calls_) indices.push_back(index);
    }
    for (const uint64_t index : indices) Cancel(index);
    std::unique_lock lock(mutex_);
    none_.wait(lock, [&] { return calls_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  std::unordered_map<uint64_t, std::shared_ptr<Call>> calls_;
};

}  // namespace atoll::load
