#pragma once

// One choice of a request: sampled tokens in, text and token ids for the client out. Stop strings end it here, everything
// else (end-of-sequence, stop tokens, max_tokens) on the attention node.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/detokenizer.h"
#include "router/request/request.h"
#include "router/request/sequence_event.h"
#include "router/request/stop_matcher.h"

namespace atoll::router {

enum class FinishReason { kStop, kLength };

// What a choice has for its client and has not handed over yet.
struct ChoiceDelta {
  uint32_t index = 0;
  std::string text;
  std::vector<SampledToken> prompt;  // of the prompt's tokens from the second on; beside the first token
  std::vector<SampledToken> tokens;
  std::optional<FinishReason> finish;
  std::string stop_string;  // that matched, beside a finish

  bool empty() const { return text.empty() && tokens.empty() && !finish; }
  // Memory that it holds here and in the message that it becomes, about; without `prompt`, which the request bounds.
  size_t bytes() const;
  // For the next use; keeps capacity.
  void Clear();
};

// Owned by one thread at a time.
class ChoiceStream {
 public:
  // `tokenizer` may be null (there is then no text); `request` and it outlive the choice. `eos_ids` end a sequence unless
  // the request ignores them.
  ChoiceStream(uint32_t index, const Request& request, const model::Tokenizer* tokenizer, const std::vector<int32_t>& eos_ids);

  // Takes what an attention node sent. Nothing after the end. INTERNAL: more tokens than were asked for, or the end that
  // the node reports is not one that a sequence may have.
  absl::Status OnEvent(SequenceEvent event);

  // The choice is over: its delta has a finish reason, or had one.
  bool ended() const { return ended_; }
  FinishReason finish_reason() const { return finish_reason_; }  // of a choice that has ended
  // Over by a stop string, so that the attention node does not know yet.
  bool ended_here() const { return ended_here_; }
  int64_t tokens() const { return tokens_; }
  const StageTimes& times() const { return times_; }
  ChoiceDelta& delta() { return delta_; }
  const ChoiceDelta& delta() const { return delta_; }

 private:
  void OnToken(SampledToken token);
  bool LeavesText(int32_t token_id) const;
  absl::Status CheckPrompt() const;
  absl::Status OnEnd(const SequenceEnd& end);
  void FinishByStopString();
  void Finish(FinishReason reason);

  const Request& request_;
  const std::vector<int32_t>& eos_ids_;
  std::optional<model::Detokenizer> detokenizer_;
  StopMatcher stop_matcher_;
  ChoiceDelta delta_;
  StageTimes times_;
  int64_t tokens_ = 0;
  size_t prompt_told_ = 0;
  FinishReason finish_reason_ = FinishReason::kStop;
  bool ended_ = false;
  bool ended_here_ = false;
};

}  // namespace atoll::router
