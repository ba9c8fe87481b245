#pragma once

// AttentionService over gRPC: the Run stream of a router becomes Submit and Cancel of the core, the core's events go back
// on it, all of one step in one message. A stream's end cancels its sequences. A router that does not read is not waited
// for: once kStepsQueuedMax messages wait, its stream is ended. Thread-safe.

#include <memory>
#include <span>

#include "attention_node/core.h"
#include "base/clock.h"
#include "base/status.h"

namespace grpc {
class Service;
}

namespace atoll::attention_node {

inline constexpr size_t kStepsQueuedMax = 4096;

class AttentionService final : public EventSink {
 public:
  explicit AttentionService(const Clock& clock);
  ~AttentionService() override;

  // Before the server starts; the core outlives it.
  void SetCore(AttentionCore* core);
  grpc::Service* service();

  void OnEvents(std::span<SequenceEvent> events) override;
  // Ends all streams with `status`, and every one that comes from now on.
  void EndStreams(const absl::Status& status);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace atoll::attention_node
