#pragma once

// The request of a call that may have to end before its request has started: between the client, who may leave at any time, and the
// front door, which may still be tokenizing.

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/status.h"
#include "router/request/request_stream.h"

namespace atoll::router {

// Thread-safe.
class StartedStream {
 public:
  // Once. A stream whose end has been asked for ends.
  void Set(std::shared_ptr<RequestStream> stream) {
    std::optional<absl::Status> failure;
    {
      std::lock_guard lock(mutex_);
      stream_ = stream;
      failure = failure_;
    }
    if (failure) stream->Fail(*failure);
  }

  // Ends the stream now, or when it starts. Never with its lock held.
  void Fail(const absl::Status& why) {
    std::shared_ptr<RequestStream> stream;
    {
      std::lock_guard lock(mutex_);
      if (!failure_) failure_ = why;
      stream = stream_;
    }
    if (stream != nullptr) stream->Fail(why);
  }

  // Null before it has started.
  std::shared_ptr<RequestStream> get() const {
    std::lock_guard lock(mutex_);
    return stream_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<RequestStream> stream_;  // guarded by mutex_; shared with the attention client that feeds it
  std::optional<absl::Status> failure_;    // guarded by mutex_
};

}  // namespace atoll::router
