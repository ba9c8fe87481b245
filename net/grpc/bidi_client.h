#pragma once

// One long-lived bidirectional stream as its client: a bounded queue of messages to send with one write in flight, and
// callbacks for what arrives. Callbacks run one at a time on a gRPC thread and must not block. Thread-safe otherwise.

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "base/status.h"
#include "net/grpc/status_map.h"

namespace atoll::net {

template <typename Request, typename Response>
class BidiClient final : private grpc::ClientBidiReactor<Request, Response> {
 public:
  using Reactor = grpc::ClientBidiReactor<Request, Response>;

  struct Callbacks {
    std::function<void(Response&)> on_message;
    // The stream is over: called once, last, also after Cancel. Must not destroy the client.
    std::function<void(const absl::Status&)> on_end;
  };

  // `bind` starts the call: [&](grpc::ClientContext* c, Reactor* r) { stub->async()->Run(c, r); }. At most `queued_max`
  // messages wait to be sent.
  template <typename Bind>
  BidiClient(Callbacks callbacks, size_t queued_max, Bind&& bind) : callbacks_(std::move(callbacks)), queued_max_(queued_max) {
    bind(&context_, static_cast<Reactor*>(this));
    this->AddHold();  // writes start outside of reactions until the reads have ended
    this->StartRead(&incoming_);
    this->StartCall();
  }

  // CancelAndWait: never destroy it in a callback.
  ~BidiClient() override { CancelAndWait(); }

  BidiClient(const BidiClient&) = delete;
  BidiClient& operator=(const BidiClient&) = delete;

  // False when the stream is over or the queue is full: the message is then dropped.
  [[nodiscard]] bool Send(Request request) {
    std::lock_guard lock(mutex_);
    if (reads_ended_ || writes_closed_ || outgoing_.size() >= queued_max_) return false;
    outgoing_.push_back(std::move(request));
    if (outgoing_.size() == 1) this->StartWrite(&outgoing_.front());
    return true;
  }

  // Ends our half after what is queued has been sent.
  void CloseWrites() {
    std::lock_guard lock(mutex_);
    if (reads_ended_ || writes_closed_) return;
    writes_closed_ = true;
    if (outgoing_.empty()) this->StartWritesDone();
  }

  void Cancel() { context_.TryCancel(); }

  // Returns when on_end has. Never in a callback.
  void CancelAndWait() {
    Cancel();
    std::unique_lock lock(mutex_);
    done_changed_.wait(lock, [&] { return done_; });
  }

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      callbacks_.on_message(incoming_);
      this->StartRead(&incoming_);
      return;
    }
    std::lock_guard lock(mutex_);
    reads_ended_ = true;
    this->RemoveHold();
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    outgoing_.pop_front();
    if (!ok || reads_ended_) return;
    if (!outgoing_.empty()) {
      this->StartWrite(&outgoing_.front());
    } else if (writes_closed_) {
      this->StartWritesDone();
    }
  }

  void OnDone(const grpc::Status& status) override {
    callbacks_.on_end(FromGrpcStatus(status));
    std::lock_guard lock(mutex_);
    done_ = true;
    done_changed_.notify_all();
  }

  const Callbacks callbacks_;
  const size_t queued_max_;
  grpc::ClientContext context_;
  Response incoming_;  // of the one read in flight
  std::mutex mutex_;
  std::condition_variable done_changed_;
  std::deque<Request> outgoing_;  // guarded by mutex_; the front is in flight
  bool reads_ended_ = false;      // guarded by mutex_, as all below
  bool writes_closed_ = false;
  bool done_ = false;
};

}  // namespace atoll::net
