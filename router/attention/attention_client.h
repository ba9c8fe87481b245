#pragma once

// The router's stream to one life of one attention node: sequences out, their events in. Thread-safe.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "router/attention/step_trace.h"
#include "router/request/request_stream.h"

namespace atoll::router {

struct AttentionClientOptions {
  std::string node_id;
  std::string address;
  // The stream is over; every sequence on it has been failed with UNAVAILABLE. Called once, on a gRPC thread; must not
  // destroy the client.
  std::function<void(const absl::Status&)> on_end;
};

// Owned by the pool of nodes; requests hold it as their host, so that it lives until the last of them has let go.
class AttentionClient : public SequenceHost, public std::enable_shared_from_this<AttentionClient> {
 public:
  // Connects in the background; what is submitted meanwhile waits.
  static std::shared_ptr<AttentionClient> Connect(AttentionClientOptions options);

  // Submits all sequences of the request and makes this its host. UNAVAILABLE when the stream is over or takes no more.
  virtual absl::Status Submit(std::shared_ptr<RequestStream> stream) = 0;

  virtual int64_t sequences() const = 0;
  // That have come since the stream began.
  virtual int64_t tokens() const = 0;
  // Prompt tokens of sequences that have not sampled a token yet.
  virtual int64_t prompt_tokens() const = 0;

  // Records the node's next step that has rows of the request. `done` is called once, on a gRPC thread. The call of what is
  // returned ends it: `done` then gets CANCELLED.
  virtual std::function<void()> TraceStep(const StepTraceCall& call, std::function<void(absl::StatusOr<StepTrace>)> done) = 0;

  // Ends the stream and waits for on_end: never on a gRPC thread. Submissions fail from then on.
  virtual void Close() = 0;
};

}  // namespace atoll::router
