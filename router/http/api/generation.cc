#include "router/http/api/generation.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "router/http/api/api_error.h"

namespace atoll::router::http {
namespace {

class Generation;

// What has been said of a choice; where the answer is whole, the choice itself.
struct ChoiceState {
  std::string prefix;  // echoed, before the first event
  std::string text;
  std::vector<SampledToken> tokens;
  std::string stop_string;
  std::optional<FinishReason> finish;
  int64_t token_count = 0;
  int64_t characters = 0;
  int32_t last_token = -1;
  bool begun = false;
};

// The client's end of one prompt's request. Its state is guarded by the request stream's lock.
class PromptSink final : public ResponseSink {
 public:
  // `echoed` stands before every choice's text; of the prompt's tokens, the first `unseen` are not shown.
  PromptSink(int32_t first_index, int32_t n, const std::string& echoed, size_t unseen)
      : first_index_(first_index), unseen_(unseen), choices_(static_cast<size_t>(n)) {
    for (ChoiceState& choice : choices_) choice.prefix = echoed;
  }

  void Write(const ResponseDelta& delta) override;
  void End(const absl::Status& status) override;

  void Begin(std::shared_ptr<Generation> generation) { generation_ = std::move(generation); }
  void Refused() { generation_.reset(); }

  // Guarded by the generation's lock. Shared with the attention client that feeds it.
  std::shared_ptr<RequestStream> stream;

  void AppendChoices(std::vector<AnswerChoice>& to) const;

 private:
  bool TakeDelta(const ChoiceDelta& delta, std::string& piece);
  void AppendEvent(const ChoiceDelta& delta, ChoiceState& choice, std::string& piece) const;
  bool Keep(const ChoiceDelta& delta, ChoiceState& choice);
  std::vector<SampledToken> WithPrompt(const ChoiceDelta& delta) const;
  std::optional<int32_t> StopToken(const ChoiceState& choice) const;

  const int32_t first_index_;
  const size_t unseen_;
  std::vector<ChoiceState> choices_;
  size_t kept_bytes_ = 0;
  std::shared_ptr<Generation> generation_;  // keeps it alive until the last call from the stream
};

// Thread-safe. Owned by its sinks while they run.
class Generation final : public std::enable_shared_from_this<Generation> {
 public:
  Generation(AnswerText text, std::shared_ptr<Exchange> exchange) : text_(std::move(text)), exchange_(std::move(exchange)) {}

  void Start(FrontDoor& front_door, ApiCall call);

  const AnswerText& text() const { return text_; }
  Exchange& exchange() { return *exchange_; }

  // From a sink, under its stream's lock. The prompt is finished with `piece`, or the whole request with `status`.
  void OnPromptDone(const RequestSummary& summary, std::string piece);
  void Abort(const absl::Status& status);

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

void PromptSink::Write(const ResponseDelta& delta) {
  const std::shared_ptr<Generation> keep_alive = generation_;
  std::string piece;
  bool fits = true;
  for (const ChoiceDelta* choice : delta.choices) fits = TakeDelta(*choice, piece) && fits;
  if (delta.summary != nullptr && fits) {
    generation_.reset();
    return keep_alive->OnPromptDone(*delta.summary, std::move(piece));
  }
  if (fits) {
    keep_alive->exchange().Write(std::move(piece), [stream = stream](bool ok) { stream->OnWriteDone(ok); });
    return;
  }
  const auto too_large = absl::InvalidArgumentError(absl::StrCat("the answer has more than ", kWholeAnswerBytesMax, " bytes; ask for less, or for a stream"));
  if (delta.summary != nullptr) return End(too_large);
  keep_alive->exchange().Write("", [stream = stream, too_large](bool) {
    stream->Fail(too_large);
    stream->OnWriteDone(false);
  });
}

void PromptSink::End(const absl::Status& status) {
  const std::shared_ptr<Generation> keep_alive = std::exchange(generation_, nullptr);
  keep_alive->Abort(status);
}

bool PromptSink::TakeDelta(const ChoiceDelta& delta, std::string& piece) {
  ChoiceState& choice = choices_[delta.index];
  choice.token_count += static_cast<int64_t>(delta.tokens.size());
  if (!delta.tokens.empty()) choice.last_token = delta.tokens.back().token_id;
  if (!generation_->text().options().stream) return Keep(delta, choice);
  AppendEvent(delta, choice, piece);
  return true;
}

std::optional<int32_t> PromptSink::StopToken(const ChoiceState& choice) const {
  const std::vector<int32_t>& ids = stream->request().stop_token_ids;
  if (std::find(ids.begin(), ids.end(), choice.last_token) == ids.end()) return std::nullopt;
  return choice.last_token;
}

// The prompt's tokens that are shown, then the delta's. Nothing comes before the very first token, so that it has no
// log-probability.
std::vector<SampledToken> PromptSink::WithPrompt(const ChoiceDelta& delta) const {
  std::vector<SampledToken> tokens;
  if (unseen_ == 0) tokens.push_back({.token_id = stream->request().prompt_ids.front(), .logprob = NAN, .top = {}});
  tokens.insert(tokens.end(), delta.prompt.begin(), delta.prompt.end());
  tokens.insert(tokens.end(), delta.tokens.begin(), delta.tokens.end());
  return tokens;
}

// A first event without text would pass for the first token with some clients.
void PromptSink::AppendEvent(const ChoiceDelta& delta, ChoiceState& choice, std::string& piece) const {
  const AnswerOptions& options = generation_->text().options();
  const std::string with_prefix = choice.prefix.empty() ? std::string() : std::exchange(choice.prefix, {}) + delta.text;
  const std::string_view text = with_prefix.empty() ? std::string_view(delta.text) : with_prefix;
  if (text.empty() && !choice.begun && !delta.finish && !options.logprobs && !options.return_token_ids) return;
  const bool with_prompt = !choice.begun && stream->request().prompt_logprobs;
  const std::vector<SampledToken> tokens = with_prompt ? WithPrompt(delta) : std::vector<SampledToken>();
  const size_t echoed = with_prompt ? 0 : text.size() - delta.text.size();
  const AnswerChoice event{.index = first_index_ + static_cast<int32_t>(delta.index),
                           .text = text,
                           .tokens = with_prompt ? tokens : delta.tokens,
                           .finish = delta.finish,
                           .stop_string = delta.stop_string,
                           .stop_token = delta.finish ? StopToken(choice) : std::nullopt,
                           .first = !std::exchange(choice.begun, true),
                           .text_offset = choice.characters + CountCharacters(text.substr(0, echoed))};
  generation_->text().AppendEvent(event, {static_cast<int64_t>(stream->request().prompt_ids.size()), choice.token_count}, piece);
  choice.characters += CountCharacters(text);
}

// False when the whole answer grows too large.
bool PromptSink::Keep(const ChoiceDelta& delta, ChoiceState& choice) {
  const AnswerOptions& options = generation_->text().options();
  const bool first = !std::exchange(choice.begun, true);
  if (first) choice.text = choice.prefix;
  choice.text += delta.text;
  if (first && stream->request().prompt_logprobs) {
    choice.tokens = WithPrompt(delta);
  } else if (options.logprobs || options.return_token_ids) {
    choice.tokens.insert(choice.tokens.end(), delta.tokens.begin(), delta.tokens.end());
  }
  if (delta.finish) choice.finish = delta.finish;
  if (!delta.stop_string.empty()) choice.stop_string = delta.stop_string;
  kept_bytes_ += options.logprobs ? delta.bytes() + delta.prompt.size() * static_cast<size_t>(1 + *options.logprobs) * sizeof(TokenLogprob) : delta.text.size();
  return kept_bytes_ <= kWholeAnswerBytesMax;
}

void PromptSink::AppendChoices(std::vector<AnswerChoice>& to) const {
  for (size_t i = 0; i < choices_.size(); ++i) {
    const ChoiceState& choice = choices_[i];
    const std::string_view text = choice.text;
    to.push_back({.index = first_index_ + static_cast<int32_t>(i),
                  .text = text,
                  .tokens = choice.tokens,
                  .finish = choice.finish,
                  .stop_string = choice.stop_string,
                  .stop_token = StopToken(choice),
                  .first = true,
                  .text_offset = stream->request().prompt_logprobs ? 0 : CountCharacters(choice.prefix)});
  }
}

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
