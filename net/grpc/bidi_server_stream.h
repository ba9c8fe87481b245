#pragma once

// One bidirectional stream as its server: a bounded queue of messages to send with one write in flight, and callbacks for
// what arrives. Callbacks run one at a time on a gRPC thread and must not block. Thread-safe otherwise.

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "base/status.h"
#include "net/grpc/status_map.h"

namespace atoll::net {

// Owned by gRPC until the stream is over and, as a shared_ptr, by whoever sends on it.
template <typename Request, typename Response>
class BidiServerStream final : public grpc::ServerBidiReactor<Request, Response>,
                               public std::enable_shared_from_this<BidiServerStream<Request, Response>> {
 public:
  struct Callbacks {
    std::function<void(Request&)> on_message;
    // The peer has ended, or the connection is lost: called once, last.
    std::function<void()> on_end;
  };

  // A stream that waits for Start; return reactor() from the service's method.
  static std::shared_ptr<BidiServerStream> Make(size_t queued_max) {
    return std::shared_ptr<BidiServerStream>(new BidiServerStream(queued_max));
  }
  BidiServerStream* reactor() { return this; }

  // Begins to read; the callbacks may hold the stream.
  void Start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    self_ = this->shared_from_this();
    this->StartRead(&incoming_);
  }

  // False when the stream is over or the queue is full: the message is then dropped.
  [[nodiscard]] bool Send(Response response) {
    std::lock_guard lock(mutex_);
    if (ended_ || outgoing_.size() >= queued_max_) return false;
    outgoing_.push_back(std::move(response));
    if (outgoing_.size() == 1) this->StartWrite(&outgoing_.front());
    return true;
  }

  // Ends the stream with `status` after the write in flight; what is queued behind it is dropped. Later calls do nothing.
  void End(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = true;
    end_status_ = status;
    if (outgoing_.empty()) this->Finish(ToGrpcStatus(end_status_));
  }

 private:
  explicit BidiServerStream(size_t queued_max) : queued_max_(queued_max) {}

  void OnReadDone(bool ok) override {
    if (!ok) return End(absl::OkStatus());
    callbacks_.on_message(incoming_);
    this->StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    outgoing_.pop_front();
    if (ended_) {
      outgoing_.clear();
      this->Finish(ToGrpcStatus(end_status_));
    } else if (ok && !outgoing_.empty()) {
      this->StartWrite(&outgoing_.front());
    } else if (!ok) {
      outgoing_.clear();  // the peer is gone: the read in flight says so too, and ends the stream
    }
  }

  void OnDone() override {
    callbacks_.on_end();
    callbacks_ = {};
    self_.reset();
  }

  const size_t queued_max_;
  Callbacks callbacks_;
  Request incoming_;                        // of the one read in flight
  std::shared_ptr<BidiServerStream> self_;  // from Start to OnDone
  std::mutex mutex_;
  std::deque<Response> outgoing_;  // guarded by mutex_, as all below; the front is in flight
  bool ended_ = false;
  absl::Status end_status_;
};

}  // namespace atoll::net
