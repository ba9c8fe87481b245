#pragma once

// The two ends of a running request: the client that it answers, and the host of its sequences.

#include <cstdint>
#include <span>

#include "base/status.h"
#include "router/request/choice_stream.h"

namespace atoll::router {

// Of the whole request, for its last message.
struct RequestSummary {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  StageTimes stages;  // of the choice that took longest in each stage
  int64_t first_token_us = 0;
  int64_t total_us = 0;
  uint64_t seed = 0;
};

struct ResponseDelta {
  std::span<const ChoiceDelta* const> choices;
  const RequestSummary* summary = nullptr;  // in the last message alone
};

// The client's end. Called with the stream's lock held: must not call the stream from within. After a Write with a
// summary, or an End, it is not called again.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  // Copies the delta. RequestStream::OnWriteDone follows from another place; after the last message the call is OK.
  virtual void Write(const ResponseDelta& delta) = 0;
  // The call ends with an error; no write is in flight.
  virtual void End(const absl::Status& status) = 0;
};

// Where a request's sequences run.
class SequenceHost {
 public:
  virtual ~SequenceHost() = default;
  virtual void CancelSequence(uint64_t sequence_id) = 0;
};

}  // namespace atoll::router
