#pragma once

// What a client may ask: generate, tokenize, detokenize. Checks, counts and places requests; knows nothing of gRPC.
// Thread-safe.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/trace/tracer.h"
#include "router/admission.h"
#include "router/attention/choose_node.h"
#include "router/inference/request_spans.h"
#include "router/inference/served_model.h"
#include "router/inference/serving.h"
#include "router/metrics/request_metrics.h"
#include "router/request/request.h"
#include "router/request/request_stream.h"
#include "router/request/validation.h"

namespace atoll::router {

struct FrontDoorOptions {
  AdmissionLimits admission;
  int64_t request_timeout_ms = 3600 * 1000;  // most that a client may ask for, and what it gets without asking
  uint64_t random_seed = 0;                  // of the seeds and ids that clients leave to the router
  trace::Tracer* tracer = nullptr;           // outlives the front door; may be null
};

struct RequestTotals {
  int64_t running = 0;
  int64_t requests = 0;
  int64_t refused = 0;
  int64_t failed = 0;
  int64_t cancelled = 0;
  int64_t tokens = 0;
};

class FrontDoor final : public RequestObserver {
 public:
  // The three outlive the front door.
  FrontDoor(const FrontDoorOptions& options, const ServedModel* model, const Clock* clock, ServingSource* source);

  // Not OK: refused, `sink` is untouched. Otherwise `started` has been called with the stream that feeds `sink`, before
  // anything else happens to that.
  absl::Status Generate(GenerateCall call, ResponseSink* sink, const std::function<void(std::shared_ptr<RequestStream>)>& started);

  struct TokenizeCall {
    std::variant<std::monostate, TextPrompt, ChatPrompt> input;
    bool no_specials = false;
    bool add_bos = false;
  };
  absl::StatusOr<std::vector<int32_t>> Tokenize(const TokenizeCall& call) const;
  absl::StatusOr<std::string> Detokenize(const std::vector<int32_t>& ids) const;

  // Whether a model with this prompt begins inside its thinking.
  bool BeginsThinking(const std::vector<int32_t>& prompt_ids) const;

  const ServedModel& model() const { return *model_; }
  // The model's, or the shortest that an attention node was started with.
  int32_t context_length() const { return ContextLength(*source_->serving()); }

  // Ends requests whose deadline has passed.
  void Tick();
  // Nothing new is admitted; what runs goes on.
  void Drain();
  void FailAll(const absl::Status& status);
  RequestTotals totals() const;
  const RequestMetrics& metrics() const { return metrics_; }

  void OnFirstToken(const RequestStream& stream, int64_t after_ns) override;
  void OnTokens(const TokenArrival& arrival) override { metrics_.OnTokens(arrival); }
  void OnRequestEnd(const RequestStream& stream, const RequestOutcome& outcome) override;

 private:
  struct Running {
    std::shared_ptr<RequestStream> stream;
    int64_t queued_prompt_tokens = 0;  // 0 after the first token
  };

  absl::Status Refuse(absl::Status status, RequestFacts facts);
  absl::StatusOr<std::shared_ptr<RequestStream>> Prepare(GenerateCall call, ResponseSink* sink, AttentionSeat& seat);
  RequestLimits Limits(const Serving& serving) const;
  int32_t ContextLength(const Serving& serving) const;
  absl::StatusOr<std::vector<int32_t>> PromptIds(const GenerateCall& call) const;
  absl::StatusOr<std::vector<int32_t>> ChatIds(const ChatPrompt& chat) const;
  absl::Status AddToolConstraint(GenerateCall& call) const;
  absl::Status CheckConstraint(const std::vector<int32_t>& prompt_ids, model::Constraint& constraint) const;
  void FillFromRandom(GenerateCall& call);
  absl::Status Admit(const std::shared_ptr<RequestStream>& stream);
  std::vector<std::shared_ptr<RequestStream>> RunningStreams() const;

  const FrontDoorOptions options_;
  const ServedModel* const model_;
  const Clock* const clock_;
  ServingSource* const source_;
  RequestMetrics metrics_;

  mutable std::mutex mutex_;  // guards all below; no stream is called while it is held
  std::mt19937_64 random_;
  Admission admission_;
  std::map<std::string, Running> running_;  // by request id
  RequestTotals totals_;
};

}  // namespace atoll::router
