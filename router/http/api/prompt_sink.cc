#include "router/http/api/prompt_sink.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace atoll::router::http {

void PromptSink::Write(const ResponseDelta& delta) {
  const std::shared_ptr<AnswerHost> keep_alive = host_;
  std::string piece;
  bool fits = true;
  for (const ChoiceDelta* choice : delta.choices) fits = TakeDelta(*choice, piece) && fits;
  if (delta.summary != nullptr && fits) {
    host_.reset();
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
  const std::shared_ptr<AnswerHost> keep_alive = std::exchange(host_, nullptr);
  keep_alive->Abort(status);
}

bool PromptSink::TakeDelta(const ChoiceDelta& delta, std::string& piece) {
  ChoiceState& choice = choices_[delta.index];
  choice.token_count += static_cast<int64_t>(delta.tokens.size());
  if (!delta.tokens.empty()) choice.last_token = delta.tokens.back().token_id;
  if (!host_->text().options().stream) return Keep(delta, choice);
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

// What the delta adds to the choice: to its thinking, to its text, to its calls.
PromptSink::Taken PromptSink::TakeText(const ChoiceDelta& delta, ChoiceState& choice) {
  Taken taken;
  if (choice.split) {
    choice.split->Append(delta.text, taken.reasoning, taken.text);
    if (delta.finish) choice.split->Flush(taken.reasoning);
  } else {
    taken.text = std::exchange(choice.prefix_to_say, {}) + delta.text;
  }
  if (!choice.tools) return taken;
  model::ToolCallText parts;
  choice.tools->Append(taken.text, parts);
  if (delta.finish) choice.tools->Flush(parts);
  taken.text = std::move(parts.content);
  taken.calls = std::move(parts.calls);
  return taken;
}

void PromptSink::KeepCalls(std::vector<model::ToolCallPiece> pieces, ChoiceState& choice) {
  for (model::ToolCallPiece& piece : pieces) {
    if (choice.calls.empty() || choice.calls.back().index != piece.index) choice.calls.push_back(std::move(piece));
    else choice.calls.back().arguments += piece.arguments;
  }
}

// A first event without text would pass for the first token with some clients.
void PromptSink::AppendEvent(const ChoiceDelta& delta, ChoiceState& choice, std::string& piece) const {
  const AnswerOptions& options = host_->text().options();
  const int64_t echoed = CountCharacters(choice.prefix_to_say);
  const Taken taken = TakeText(delta, choice);
  const bool silent = taken.empty() && !delta.finish;
  if (silent && (!choice.begun || choice.split || choice.tools) && !options.logprobs && !options.return_token_ids) return;
  const bool with_prompt = !choice.begun && stream->request().prompt_logprobs;
  const std::vector<SampledToken> tokens = with_prompt ? WithPrompt(delta) : std::vector<SampledToken>();
  const AnswerChoice event{.index = first_index_ + static_cast<int32_t>(delta.index),
                           .text = taken.text,
                           .reasoning = taken.reasoning,
                           .calls = taken.calls,
                           .called = choice.tools && choice.tools->calls() > 0,
                           .tokens = with_prompt ? tokens : delta.tokens,
                           .finish = delta.finish,
                           .stop_string = delta.stop_string,
                           .stop_token = delta.finish ? StopToken(choice) : std::nullopt,
                           .first = !std::exchange(choice.begun, true),
                           .text_offset = choice.characters + (with_prompt ? 0 : echoed)};
  host_->text().AppendEvent(event, {static_cast<int64_t>(stream->request().prompt_ids.size()), choice.token_count}, piece);
  choice.characters += CountCharacters(taken.text);
}

// False when the whole answer grows too large.
bool PromptSink::Keep(const ChoiceDelta& delta, ChoiceState& choice) {
  const AnswerOptions& options = host_->text().options();
  const bool first = !std::exchange(choice.begun, true);
  Taken taken = TakeText(delta, choice);
  choice.text += taken.text;
  choice.reasoning += taken.reasoning;
  KeepCalls(std::move(taken.calls), choice);
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
                  .reasoning = choice.reasoning,
                  .calls = choice.calls,
                  .called = !choice.calls.empty(),
                  .tokens = choice.tokens,
                  .finish = choice.finish,
                  .stop_string = choice.stop_string,
                  .stop_token = StopToken(choice),
                  .first = true,
                  .text_offset = stream->request().prompt_logprobs ? 0 : CountCharacters(choice.prefix)});
  }
}

}  // namespace atoll::router::http
