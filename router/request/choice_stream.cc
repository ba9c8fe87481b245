#include "router/request/choice_stream.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace atoll::router {

namespace {

// Of a token without alternatives, and of each alternative: our struct, and the message object that protobuf makes of it.
constexpr size_t kTokenBytes = sizeof(SampledToken) + 8;
constexpr size_t kAlternativeBytes = sizeof(TokenLogprob) + 40;

}  // namespace

size_t ChoiceDelta::bytes() const {
  // All tokens of a request have the same number of alternatives.
  const size_t alternatives = tokens.empty() ? 0 : tokens.front().top.size();
  return text.size() + tokens.size() * (kTokenBytes + alternatives * kAlternativeBytes);
}

void ChoiceDelta::Clear() {
  text.clear();
  prompt.clear();
  tokens.clear();
  finish.reset();
  stop_string.clear();
}

ChoiceStream::ChoiceStream(uint32_t index, const Request& request, const model::Tokenizer* tokenizer,
                           const std::vector<int32_t>& eos_ids)
    : request_(request), eos_ids_(eos_ids), stop_matcher_(request.stop) {
  if (tokenizer != nullptr) detokenizer_.emplace(*tokenizer, request.keep_special_tokens ? model::SpecialTokens::kKeep : model::SpecialTokens::kSkip);
  delta_.index = index;
}

absl::Status ChoiceStream::OnEvent(SequenceEvent event) {
  if (event.times) times_ = *event.times;
  prompt_told_ += event.prompt.size();
  delta_.prompt.insert(delta_.prompt.end(), event.prompt.begin(), event.prompt.end());
  if (tokens_ == 0 && !event.tokens.empty()) ATOLL_RETURN_IF_ERROR(CheckPrompt());
  for (SampledToken& token : event.tokens) {
    if (ended_) return absl::OkStatus();
    if (tokens_ >= request_.max_tokens) {
      return absl::InternalError(absl::StrCat("the attention node sent more than the ", request_.max_tokens, " tokens asked for"));
    }
    OnToken(std::move(token));
  }
  if (ended_ || !event.end) return absl::OkStatus();
  return OnEnd(*event.end);
}

absl::Status ChoiceStream::CheckPrompt() const {
  const size_t expected = request_.prompt_logprobs ? request_.prompt_ids.size() - 1 : 0;
  if (prompt_told_ == expected) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the attention node sent ", prompt_told_, " log-probabilities of prompt tokens, expected ", expected));
}

void ChoiceStream::OnToken(SampledToken token) {
  const int32_t id = token.token_id;
  delta_.tokens.push_back(std::move(token));
  ++tokens_;
  if (!detokenizer_ || !LeavesText(id)) return;
  const std::string text = detokenizer_->Append(id);
  // Before min_tokens nothing may end the choice: text from there takes part in no match.
  if (tokens_ <= request_.min_tokens) {
    delta_.text += text;
  } else if (stop_matcher_.Append(text, delta_.text)) {
    ended_here_ = true;
    FinishByStopString();
  }
}

bool ChoiceStream::LeavesText(int32_t token_id) const {
  const auto has = [&](const std::vector<int32_t>& ids) { return std::find(ids.begin(), ids.end(), token_id) != ids.end(); };
  return !has(request_.stop_token_ids) && (request_.ignore_eos || !has(eos_ids_));
}

absl::Status ChoiceStream::OnEnd(const SequenceEnd& end) {
  times_ = end.times;
  if (end.reason == EndReason::kFailed) {
    return end.failure.ok() ? absl::InternalError("the attention node ended the sequence as failed with status OK") : end.failure;
  }
  if (end.reason == EndReason::kCancelled) {
    return absl::UnavailableError("the attention node cancelled the sequence, which nobody here had asked for; try again");
  }
  if (detokenizer_ && stop_matcher_.Append(detokenizer_->Flush(), delta_.text)) {
    FinishByStopString();
    return absl::OkStatus();
  }
  stop_matcher_.Flush(delta_.text);
  Finish(end.reason == EndReason::kStop ? FinishReason::kStop : FinishReason::kLength);
  return absl::OkStatus();
}

void ChoiceStream::FinishByStopString() {
  delta_.stop_string = stop_matcher_.match();
  if (request_.include_stop_string) delta_.text += delta_.stop_string;
  Finish(FinishReason::kStop);
}

void ChoiceStream::Finish(FinishReason reason) {
  ended_ = true;
  finish_reason_ = reason;
  delta_.finish = reason;
}

}  // namespace atoll::router
