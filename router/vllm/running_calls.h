#pragma once

// Which calls run under which request id, so that they can be aborted.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "router/inference/started_stream.h"

namespace atoll::router {

// Thread-safe.
class RunningCalls {
 public:
  void Add(const std::string& request_id, std::shared_ptr<StartedStream> call) {
    std::lock_guard lock(mutex_);
    calls_.emplace(request_id, std::move(call));
  }

  void Remove(const std::string& request_id, const StartedStream* call) {
    std::lock_guard lock(mutex_);
    const auto [begin, end] = calls_.equal_range(request_id);
    for (auto it = begin; it != end; ++it) {
      if (it->second.get() == call) return void(calls_.erase(it));
    }
  }

  // Ends all calls of that id with `why`; there may be none.
  void Fail(const std::string& request_id, const absl::Status& why) {
    for (const std::shared_ptr<StartedStream>& call : Find(request_id)) call->Fail(why);
  }

 private:
  std::vector<std::shared_ptr<StartedStream>> Find(const std::string& request_id) {
    std::vector<std::shared_ptr<StartedStream>> found;
    std::lock_guard lock(mutex_);
    const auto [begin, end] = calls_.equal_range(request_id);
    for (auto it = begin; it != end; ++it) found.push_back(it->second);
    return found;
  }

  std::mutex mutex_;
  // More than one for an id while the front door refuses the later ones. Shared with the calls themselves.
  std::multimap<std::string, std::shared_ptr<StartedStream>> calls_;  // guarded by mutex_
};

}  // namespace atoll::router
