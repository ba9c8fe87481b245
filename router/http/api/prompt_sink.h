#pragma once

// The client's end of one prompt's request: what attention nodes send becomes events of a stream, or is kept for a whole
// answer.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "router/http/api/answer_text.h"
#include "router/http/api/reasoning_split.h"
#include "router/http/server/exchange.h"
#include "router/request/request_stream.h"

namespace atoll::router::http {

// A whole answer waits in memory until it is finished; beyond this it is refused.
inline constexpr size_t kWholeAnswerBytesMax = 32 << 20;

// What the sinks of one answer share. Thread-safe; called under a stream's lock.
class AnswerHost {
 public:
  virtual ~AnswerHost() = default;
  virtual const AnswerText& text() const = 0;
  virtual Exchange& exchange() = 0;
  // A prompt is finished with `piece`.
  virtual void OnPromptDone(const RequestSummary& summary, std::string piece) = 0;
  // The whole answer has failed.
  virtual void Abort(const absl::Status& status) = 0;
};

// What has been said of a choice; where the answer is whole, the choice itself.
struct ChoiceState {
  std::string prefix;         // echoed before the text
  std::string prefix_to_say;  // until it has been
  std::string text;
  std::string reasoning;
  std::optional<ReasoningSplit> split;  // of a model that begins inside its thinking
  std::optional<model::ToolCallReader> tools;  // of a chat with tools
  std::vector<model::ToolCallPiece> calls;     // each in one piece
  std::vector<SampledToken> tokens;
  std::string stop_string;
  std::optional<FinishReason> finish;
  int64_t token_count = 0;
  int64_t characters = 0;
  int32_t last_token = -1;
  bool begun = false;
};

// Its state is guarded by the request stream's lock.
class PromptSink final : public ResponseSink {
 public:
  // `echoed` stands before every choice's text; of the prompt's tokens, the first `unseen` are not shown.
  PromptSink(int32_t first_index, int32_t n, const std::string& echoed, size_t unseen)
      : first_index_(first_index), unseen_(unseen), choices_(static_cast<size_t>(n)) {
    for (ChoiceState& choice : choices_) choice.prefix = choice.prefix_to_say = echoed;
  }

  void Write(const ResponseDelta& delta) override;
  void End(const absl::Status& status) override;

  // Before the request starts; Refused takes it back.
  void Begin(std::shared_ptr<AnswerHost> host) { host_ = std::move(host); }
  void Refused() { host_.reset(); }

  // Before the first Write: every choice begins inside the model's thinking.
  void SplitReasoning() {
    for (ChoiceState& choice : choices_) choice.split.emplace();
  }

  // Likewise: what the text has of calls of tools are calls.
  void ReadToolCalls(model::ToolCallStyle style) {
    for (ChoiceState& choice : choices_) choice.tools.emplace(style);
  }

  // Set before the first Write. Shared with the attention client that feeds it.
  std::shared_ptr<RequestStream> stream;

  void AppendChoices(std::vector<AnswerChoice>& to) const;

 private:
  bool TakeDelta(const ChoiceDelta& delta, std::string& piece);
  void AppendEvent(const ChoiceDelta& delta, ChoiceState& choice, std::string& piece) const;
  bool Keep(const ChoiceDelta& delta, ChoiceState& choice);
  std::vector<SampledToken> WithPrompt(const ChoiceDelta& delta) const;
  struct Taken {
    std::string reasoning, text;
    std::vector<model::ToolCallPiece> calls;

    bool empty() const { return reasoning.empty() && text.empty() && calls.empty(); }
  };
  static Taken TakeText(const ChoiceDelta& delta, ChoiceState& choice);
  static void KeepCalls(std::vector<model::ToolCallPiece> pieces, ChoiceState& choice);
  std::optional<int32_t> StopToken(const ChoiceState& choice) const;

  const int32_t first_index_;
  const size_t unseen_;
  std::vector<ChoiceState> choices_;
  size_t kept_bytes_ = 0;
  std::shared_ptr<AnswerHost> host_;  // keeps it alive until the last call from the stream
};

}  // namespace atoll::router::http
