#include "router/http/api/generation.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "router/http/api/api_error.h"
#include "router/http/api/prompt_sink.h"

namespace atoll::router::http {
namespace {

// Thread-safe. Owned by its sinks while they run.
class Generation final : public AnswerHost, public std::enable_shared_from_this<Generation> {
 public:
  Generation(AnswerText text, std::shared_ptr<Exchange> exchange) : text_(std::move(text)), exchange_(std::move(exchange)) {}

  void Start(FrontDoor& front_door, ApiCall call);

  const AnswerText& text() const override { return text_; }
  Exchange& exchange() override { return *exchange_; }
  void OnPromptDone(const RequestSummary& summary, std::string piece) override;
  void Abort(const absl::Status& status) override;

 private:
  static size_t AddedTokens(const FrontDoor& front_door, const GenerateCall& call);
  absl::StatusOr<std::string> Echoed(const FrontDoor& front_door, const GenerateCall& call) const;
  bool AddUsage(const RequestSummary& summary);
  bool End();
  void Leave();
  void CancelAll(const absl::Status& why);

  const AnswerText text_;
  const std::shared_ptr<Exchange> exchange_;  // shared with the handler that made it
  std::vector<std::unique_ptr<PromptSink>> sinks_;

  std::mutex mutex_;  // guards the rest and the sinks' streams; no stream is called while it is held
  size_t unfinished_ = 0;
  bool ended_ = false;  // nothing more is said
  AnswerUsage usage_;
};

void Generation::Start(FrontDoor& front_door, ApiCall call) {
  if (text_.options().stream) {
    const Response head{.status = 200, .content_type = "text/event-stream; charset=utf-8",
                        .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}, .body = ""};
    exchange_->Stream(head, ": keep-alive\n\n");
  }
  exchange_->OnGone([weak = weak_from_this()] {
    if (const std::shared_ptr<Generation> self = weak.lock()) self->Leave();
  });
  unfinished_ = call.calls.size();
  absl::Status status;
  int32_t index = 0;
  for (const GenerateCall& prompt : call.calls) {
    absl::StatusOr<std::string> echoed = Echoed(front_door, prompt);
    if (!echoed.ok()) status = echoed.status();
    const int32_t n = std::clamp(prompt.n.value_or(1), 1, kChoicesMax);
    sinks_.push_back(std::make_unique<PromptSink>(index, n, echoed.ok() ? *echoed : "", AddedTokens(front_door, prompt)));
    const auto* chat = std::get_if<ChatPrompt>(&prompt.input);
    if (chat != nullptr && chat->tool_use.offered()) sinks_.back()->ReadToolCalls(front_door.model().tool_call_style());
    index += n;
  }
  for (size_t i = 0; i < call.calls.size() && status.ok(); ++i) {
    PromptSink& sink = *sinks_[i];
    sink.Begin(shared_from_this());
    status = front_door.Generate(std::move(call.calls[i]), &sink, [&](std::shared_ptr<RequestStream> stream) {
      bool ended = false;
      {
        std::lock_guard lock(mutex_);
        sink.stream = stream;
        ended = ended_;
      }
      if (text_.options().kind == AnswerKind::kChat && front_door.BeginsThinking(stream->request().prompt_ids)) sink.SplitReasoning();
      if (ended) stream->Fail(absl::CancelledError("the client has left"));
    });
    if (!status.ok()) sink.Refused();
  }
  if (status.ok()) return;
  Abort(status);
  CancelAll(absl::CancelledError("another prompt of the same request has failed"));
}

// Tokens that the tokenizer puts before the client's own text.
size_t Generation::AddedTokens(const FrontDoor& front_door, const GenerateCall& call) {
  const model::Tokenizer* tokenizer = front_door.model().tokenizer();
  return std::holds_alternative<TextPrompt>(call.input) && tokenizer != nullptr && tokenizer->add_bos() && tokenizer->bos_id() ? 1 : 0;
}

absl::StatusOr<std::string> Generation::Echoed(const FrontDoor& front_door, const GenerateCall& call) const {
  if (!text_.options().echo) return std::string();
  if (const auto* text = std::get_if<TextPrompt>(&call.input)) return text->text;
  if (const auto* ids = std::get_if<TokenPrompt>(&call.input)) return front_door.Detokenize(*ids);
  return std::string();
}

// True when all prompts are finished and nothing has ended the answer before.
bool Generation::AddUsage(const RequestSummary& summary) {
  std::lock_guard lock(mutex_);
  usage_.prompt_tokens += summary.prompt_tokens;
  usage_.completion_tokens += summary.completion_tokens;
  return --unfinished_ == 0 && !std::exchange(ended_, true);
}

bool Generation::End() {
  std::lock_guard lock(mutex_);
  return !std::exchange(ended_, true);
}

void Generation::OnPromptDone(const RequestSummary& summary, std::string piece) {
  if (!AddUsage(summary)) {
    if (!piece.empty()) exchange_->Write(std::move(piece), [](bool) {});
    return;
  }
  if (text_.options().stream) {
    text_.AppendEnd(usage_, piece);
    return exchange_->Finish(std::move(piece));
  }
  std::vector<AnswerChoice> choices;
  for (const auto& sink : sinks_) sink->AppendChoices(choices);
  exchange_->Respond({.status = 200, .content_type = "application/json", .headers = {}, .body = text_.Whole(choices, usage_)});
}

void Generation::Abort(const absl::Status& status) {
  if (!End()) return;
  const ApiError error = ToApiError(status);
  if (text_.options().stream) {
    exchange_->Fail(ErrorResponse(error), AnswerText::ErrorEvent(ErrorJson(error)));
  } else {
    exchange_->Respond(ErrorResponse(error));
  }
  if (sinks_.size() < 2) return;
  // A stream's lock may be held here, under which the others must not be called.
  exchange_->Write("", [self = shared_from_this()](bool) { self->CancelAll(absl::CancelledError("another prompt of the same request has failed")); });
}

void Generation::Leave() {
  End();
  CancelAll(absl::CancelledError("the client has left"));
}

void Generation::CancelAll(const absl::Status& why) {
  std::vector<std::shared_ptr<RequestStream>> streams;
  {
    std::lock_guard lock(mutex_);
    for (const auto& sink : sinks_) {
      if (sink->stream != nullptr) streams.push_back(sink->stream);
    }
  }
  for (const std::shared_ptr<RequestStream>& stream : streams) stream->Fail(why);
}

}  // namespace

void StartGeneration(FrontDoor& front_door, ApiCall call, const AnswerFacts& facts, std::shared_ptr<Exchange> exchange) {
  AnswerText text(call.answer, facts, front_door.model().tokenizer());
  std::make_shared<Generation>(std::move(text), std::move(exchange))->Start(front_door, std::move(call));
}

}  // namespace atoll::router::http
