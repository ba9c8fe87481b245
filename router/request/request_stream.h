#pragma once

// A running request between attention nodes and its client: events go in as they come, at most one message is being
// written, and what comes meanwhile coalesces into the next one up to a bound. Thread-safe.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "router/request/choice_stream.h"
#include "router/request/request.h"
#include "router/request/response_sink.h"
#include "router/request/sequence_event.h"

namespace atoll::router {

// What may wait for a slow client behind the message that is being written, counted with the message that it becomes:
// beyond it the request ends with RESOURCE_EXHAUSTED. It is some 6,000 tokens, or 250 with 20 logprobs each.
inline constexpr size_t kPendingBytesMax = 256 << 10;
inline constexpr size_t kPendingBytesMaxPerFurtherChoice = 32 << 10;

struct RequestOutcome {
  absl::Status status;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int32_t sequences = 1;
  int32_t stopped = 0, at_length = 0;  // of them; the others did not end
  // Of a request that ended well. Since it began:
  int64_t first_token_ns = 0;
  int64_t total_ns = 0;  // until the last token
  int64_t queue_ns = 0;  // waiting on the attention node, of the sequence that waited longest
};

// What came of one sequence at one time.
struct TokenArrival {
  int64_t tokens = 0;
  int64_t after_ns = 0;  // since its token before
  bool first = false;    // it had none before
};

class RequestStream;

// Who keeps account of requests. Called with the stream's lock held: must not call the stream from within.
class RequestObserver {
 public:
  virtual ~RequestObserver() = default;
  // after_ns: since the request began.
  virtual void OnFirstToken(const RequestStream& stream, int64_t after_ns) = 0;
  virtual void OnTokens(const TokenArrival& arrival) = 0;
  // Once, when the client can get nothing more.
  virtual void OnRequestEnd(const RequestStream& stream, const RequestOutcome& outcome) = 0;
};

// What a stream refers to and does not own; all of it outlives the stream.
struct StreamSurroundings {
  const model::Tokenizer* tokenizer = nullptr;  // null: token ids alone
  const std::vector<int32_t>* eos_ids = nullptr;
  const Clock* clock = nullptr;
  RequestObserver* observer = nullptr;
};

// Owned by its client's call and by the attention client that feeds it; either may let go first.
class RequestStream {
 public:
  // `sink` stays until it has been ended. Sequence of choice i is first_sequence_id + i.
  RequestStream(Request request, uint64_t first_sequence_id, const StreamSurroundings& surroundings, ResponseSink* sink);

  const Request& request() const { return request_; }
  uint64_t sequence_id(int32_t choice) const { return first_sequence_id_ + choice; }
  int64_t started_ns() const { return started_ns_; }
  bool PastDeadline(int64_t now_ns) const { return now_ns >= deadline_ns_; }

  // Before the first event, once the sequences are submitted.
  void SetHost(std::shared_ptr<SequenceHost> host);

  void OnEvent(int32_t choice, SequenceEvent event);
  void OnWriteDone(bool ok);
  // Ends the request with an error unless it has ended; its sequences are cancelled. CANCELLED when the client has left.
  void Fail(const absl::Status& status);

 private:
  void CountTokensLocked(int32_t choice, int64_t tokens_before);
  void TouchLocked(int32_t choice);
  void PumpLocked();
  void WriteLocked();
  void FailLocked(const absl::Status& status);
  void CancelUnfinishedLocked();
  void EndSinkLocked();
  size_t PendingBytesLocked() const;
  void SummariseLocked();
  void ReportLocked(const absl::Status& status);

  const Request request_;
  const uint64_t first_sequence_id_;
  const StreamSurroundings surroundings_;
  const int64_t started_ns_;
  const int64_t deadline_ns_;

  std::mutex mutex_;  // guards all below
  ResponseSink* sink_;
  std::shared_ptr<SequenceHost> host_;
  std::vector<ChoiceStream> choices_;
  std::vector<int64_t> token_ns_;              // [choices] when the newest token came
  std::vector<int32_t> touched_;               // choices with something to write, in order of arrival
  std::vector<const ChoiceDelta*> being_sent_;  // scratch of WriteLocked
  int32_t unfinished_;
  bool write_in_flight_ = false;
  bool reported_ = false;
  std::optional<absl::Status> failure_;
  int64_t first_token_ns_ = 0;  // since the start
  RequestSummary summary_;
};

}  // namespace atoll::router
