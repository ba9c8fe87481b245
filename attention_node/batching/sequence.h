#pragma once

// One token stream on this node: waiting -> prefilling -> decoding -> gone. A preempted sequence waits again, with its
// tokens kept and its pages given back. Owned by the step thread.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "attention_node/batching/page_pool.h"
#include "attention_node/batching/position_class.h"
#include "attention_node/sequence_request.h"
#include "attention_node/trace/sequence_trace.h"

namespace atoll::attention_node {

enum class SequencePhase { kWaiting, kPrefilling, kDecoding };

class Sequence {
 public:
  Sequence(SequenceRequest request, int64_t arrival_ns);

  const SequenceRequest& request() const { return request_; }
  const SequenceKey& key() const { return request_.key; }
  SequencePhase phase() const;
  bool running() const { return running_; }

  // Prompt, then generated tokens.
  const std::vector<int32_t>& tokens() const { return tokens_; }
  int32_t prompt_count() const { return static_cast<int32_t>(request_.prompt_ids.size()); }
  int32_t known() const { return static_cast<int32_t>(tokens_.size()); }
  int32_t generated_count() const { return known() - prompt_count(); }
  // Positions whose keys are in the pages.
  int32_t computed() const { return computed_; }
  int64_t last_step() const { return last_step_; }
  PositionClass ClassOf(int32_t position) const {
    return position < prompt_count() ? PositionClass::kPrompt : PositionClass::kGenerated;
  }
  // The pages' base addresses, in position order.
  const std::vector<std::byte*>& page_addresses() const { return page_addresses_; }
  const std::vector<PageId>& pages() const { return pages_; }
  StageTimes& times() { return times_; }
  // Null unless the request is traced.
  SequenceTrace* trace() const { return trace_.get(); }
  void SetTrace(std::unique_ptr<SequenceTrace> trace) { trace_ = std::move(trace); }

  // Whether the logits at `position` of the prompt are to tell the log-probability of the token after it: once, also when
  // the position is computed again.
  bool WantsPromptLogprob(int32_t position) const {
    return request_.prompt_logprobs && position >= prompt_told_ && position + 1 < prompt_count();
  }
  void TellPromptLogprob(int32_t position) { prompt_told_ = position + 1; }

  // Takes `count` pages of `pool`, which has them; `memory` is where page 0 lies.
  void TakePages(int32_t count, PagePool& pool, std::byte* memory, size_t page_bytes);
  void ReleasePages(PagePool& pool);
  void Start(int64_t now_ns);
  // Gives all pages back and starts over later.
  void Preempt(PagePool& pool, int64_t now_ns);
  void AddComputed(int32_t row_count, int64_t step);
  void AddToken(int32_t token) { tokens_.push_back(token); }

 private:
  SequenceRequest request_;
  std::vector<int32_t> tokens_;
  int64_t waiting_since_ns_;
  bool running_ = false;
  int32_t computed_ = 0;
  int32_t prompt_told_ = 0;  // positions whose log-probabilities are out
  int64_t last_step_ = 0;
  std::vector<PageId> pages_;
  std::vector<std::byte*> page_addresses_;
  StageTimes times_;
  std::unique_ptr<SequenceTrace> trace_;
};

// Most positions of the request that ever have keys: its last token is sampled but never computed.
inline int64_t PositionsMax(const SequenceRequest& request) {
  return static_cast<int64_t>(request.prompt_ids.size()) + request.max_tokens - 1;
}

}  // namespace atoll::attention_node
