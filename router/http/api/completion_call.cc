// The body of /v1/completions.

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "router/http/api/api_call.h"
#include "router/http/api/shared_fields.h"
#include "router/request/validation.h"

namespace atoll::router::http {
namespace {

constexpr int64_t kMaxTokens = 16;  // OpenAI's default for completions

using Input = std::variant<std::monostate, TextPrompt, TokenPrompt, ChatPrompt>;

absl::StatusOr<Input> ReadOnePrompt(const Json& prompt, const std::string& path) {
  if (prompt.is_string()) return Input(TextPrompt{prompt.get<std::string>()});
  if (prompt.is_array()) {
    ATOLL_ASSIGN_OR_RETURN(TokenPrompt ids, ReadTokenIds(prompt, path));
    return Input(std::move(ids));
  }
  return InvalidField(path, absl::StrCat("expected a string or a list of token ids, found ", TypeName(prompt)));
}

// A string, a list of token ids, or a list of either.
absl::StatusOr<std::vector<Input>> ReadPrompts(const Json* prompt) {
  if (prompt == nullptr) return InvalidField("prompt", "must be given");
  std::vector<Input> inputs;
  const bool several = prompt->is_array() && !prompt->empty() && !prompt->front().is_number();
  if (!several) {
    ATOLL_ASSIGN_OR_RETURN(Input input, ReadOnePrompt(*prompt, "prompt"));
    inputs.push_back(std::move(input));
    return inputs;
  }
  if (prompt->size() > kPromptsMax) return InvalidField("prompt", absl::StrCat("may have ", kPromptsMax, " prompts at most, found ", prompt->size()));
  for (const Json& entry : *prompt) {
    ATOLL_ASSIGN_OR_RETURN(Input input, ReadOnePrompt(entry, absl::StrCat("prompt[", inputs.size(), "]")));
    inputs.push_back(std::move(input));
  }
  return inputs;
}

// The number of alternatives; false is what some gateways write for none.
std::optional<int32_t> ReadLogprobs(JsonFields& fields) {
  const Json* logprobs = fields.Any("logprobs");
  if (logprobs == nullptr || *logprobs == false) return std::nullopt;
  const std::optional<int64_t> count = fields.Int("logprobs");
  if (count && (*count < 0 || *count > kLogprobsMax)) fields.Fail("logprobs", absl::StrCat("must be in [0, ", kLogprobsMax, "], found ", *count));
  return static_cast<int32_t>(count.value_or(0));
}

}  // namespace

absl::StatusOr<ApiCall> ReadCompletionCall(const Json& body, std::string_view text) {
  JsonFields fields(body, "");
  ApiCall api;
  api.answer.kind = AnswerKind::kCompletion;
  GenerateCall call = ReadCall(fields, text);
  if (!call.stopping.max_tokens) call.stopping.max_tokens = kMaxTokens;
  ReadAnswer(fields, api.answer);
  api.answer.echo = fields.Bool("echo").value_or(false);
  call.logprobs = api.answer.logprobs = ReadLogprobs(fields);
  call.prompt_logprobs = api.answer.echo && api.answer.logprobs.has_value();
  if (const auto add = fields.Bool("add_special_tokens"); add == false) fields.Refuse("add_special_tokens", "must be true; send token ids for a prompt without BOS");
  const Json* prompt = fields.Any("prompt");
  ATOLL_RETURN_IF_ERROR(fields.status());
  ATOLL_ASSIGN_OR_RETURN(std::vector<Input> inputs, ReadPrompts(prompt));
  for (size_t i = 0; i < inputs.size(); ++i) {
    api.calls.push_back(call);
    api.calls.back().input = std::move(inputs[i]);
    if (inputs.size() > 1 && !call.request_id.empty()) absl::StrAppend(&api.calls.back().request_id, "-", i);
  }
  api.unknown = fields.Unknown();
  return api;
}

}  // namespace atoll::router::http
