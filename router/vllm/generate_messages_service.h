#pragma once

// Between the messages of vllm.grpc.engine.VllmEngine/Generate and the router's own structs; included by generate_service alone.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"
#include "router/request/request.h"
#include "router/request/response_sink.h"
#include "vllm/grpc/engine/vllm_engine.pb.h"

namespace atoll::router {

// All but the deadline, which is the call's. INVALID_ARGUMENT names a field that cannot be honoured.
absl::StatusOr<GenerateCall> ReadVllmCall(const vllm::grpc::engine::GenerateRequest& from);

using VllmResponses = std::vector<vllm::grpc::engine::GenerateResponse>;

// An answer without stream waits in memory until its output is finished; beyond this it is refused. What it becomes fits one message.
inline constexpr size_t kWholeOutputBytesMax = 12 << 20;

// What one request's outputs have said so far, and what is to be said next. Guarded by the request stream's lock.
class VllmAnswer {
 public:
  explicit VllmAnswer(const vllm::grpc::engine::GenerateRequest& from);

  // Before the first delta; the request outlives the answer.
  void Begin(const Request& request);

  // Appends what the delta makes sayable. False: an answer without stream grows too large.
  bool Take(const ResponseDelta& delta, VllmResponses& to);
  // Appends a complete for every output that has none.
  void Abort(VllmResponses& to);

 private:
  struct Output {
    int64_t tokens = 0;
    int32_t last_token = -1;
    bool begun = false, finished = false;
    vllm::grpc::engine::GenerateComplete kept;  // of an answer without stream
  };

  void Stream(const ChoiceDelta& delta, Output& output, VllmResponses& to) const;
  void Keep(const ChoiceDelta& delta, Output& output);
  void Finish(uint32_t index, const char* reason, Output& output, VllmResponses& to) const;
  void FillStop(const ChoiceDelta& delta, const Output& output, vllm::grpc::engine::GenerateComplete& to) const;
  template <typename Message>
  void FillLogprobs(const ChoiceDelta& delta, bool first, Message& to) const;
  void FillPrompt(const ChoiceDelta& delta, vllm::grpc::engine::InputLogProbs& to) const;
  template <typename Message>
  void FillCounts(const Output& output, Message& to) const;

  const bool stream_;
  const std::optional<int32_t> logprobs_, prompt_logprobs_;
  const Request* request_ = nullptr;
  std::vector<Output> outputs_;
  size_t kept_bytes_ = 0;
};

}  // namespace atoll::router
