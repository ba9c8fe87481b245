#include "router/request/validation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"

namespace atoll::router {
namespace {

// [lowest, highest]. Written so that NaN fails.
absl::Status CheckRange(const std::string& field, std::optional<float> value, float lowest, float highest) {
  if (!value || (*value >= lowest && *value <= highest)) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be in [", lowest, ", ", highest, "], found ", *value));
}

// (0, highest]. Written so that NaN fails.
absl::Status CheckPositive(const std::string& field, std::optional<float> value, float highest) {
  if (!value || (*value > 0 && *value <= highest)) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be in (0, ", highest, "], found ", *value));
}

absl::Status CheckCount(const std::string& field, size_t count, size_t count_max) {
  if (count <= count_max) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("may have ", count_max, " entries at most, found ", count));
}

absl::Status CheckRequestId(const std::string& id) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-'; };
  if (id.size() <= kRequestIdBytesMax && std::all_of(id.begin(), id.end(), allowed)) return absl::OkStatus();
  return InvalidField("request_id", absl::StrCat("must be at most ", kRequestIdBytesMax, " characters of [A-Za-z0-9._-]"));
}

absl::Status CheckModel(const std::string& name, const RequestLimits& limits) {
  if (name.empty() || name == limits.model_name) return absl::OkStatus();
  const bool printable = std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7F; });
  if (name.size() > kModelNameBytesMax || !printable) {
    return InvalidField("model", absl::StrCat("must be at most ", kModelNameBytesMax, " printable bytes"));
  }
  return WithErrorInfo(absl::NotFoundError(absl::StrCat("model \"", name, "\" is not served here; this router serves \"",
                                                        limits.model_name, "\"")),
                       {.reason = "MODEL_NOT_FOUND", .metadata = {{"served_model", limits.model_name}}, .retry_after_ms = {}});
}

absl::Status CheckSampling(const SamplingCall& sampling, const RequestLimits& limits) {
  ATOLL_RETURN_IF_ERROR(CheckRange("sampling.temperature", sampling.temperature, 0, 100));
  ATOLL_RETURN_IF_ERROR(CheckPositive("sampling.top_p", sampling.top_p, 1));
  if (sampling.top_k.value_or(0) < 0) {
    return InvalidField("sampling.top_k", absl::StrCat("must be 0 (off) or more, found ", *sampling.top_k));
  }
  ATOLL_RETURN_IF_ERROR(CheckRange("sampling.min_p", sampling.min_p, 0, 1));
  ATOLL_RETURN_IF_ERROR(CheckRange("sampling.presence_penalty", sampling.presence_penalty, -2, 2));
  ATOLL_RETURN_IF_ERROR(CheckRange("sampling.frequency_penalty", sampling.frequency_penalty, -2, 2));
  ATOLL_RETURN_IF_ERROR(CheckPositive("sampling.repetition_penalty", sampling.repetition_penalty, 2));
  ATOLL_RETURN_IF_ERROR(CheckCount("sampling.logit_bias", sampling.logit_bias.size(), kLogitBiasesMax));
  for (const auto& [id, bias] : sampling.logit_bias) {
    ATOLL_RETURN_IF_ERROR(CheckTokenIds({id}, limits.vocabulary_size, "sampling.logit_bias"));
    ATOLL_RETURN_IF_ERROR(CheckRange("sampling.logit_bias", bias, -100, 100));
  }
  return absl::OkStatus();
}

absl::Status NeedTokenizer(const std::string& field) {
  return WithErrorInfo(absl::FailedPreconditionError(absl::StrCat(
                           field, ": this model is served by token ids alone, its folder has no tokenizer.json; send token_ids")),
                       {.reason = "NO_TOKENIZER", .metadata = {{"field", field}}, .retry_after_ms = {}});
}

absl::Status CheckStopStrings(const std::vector<std::string>& stop, const RequestLimits& limits) {
  ATOLL_RETURN_IF_ERROR(CheckCount("stopping.stop", stop.size(), kStopStringsMax));
  for (const std::string& text : stop) {
    if (text.empty() || text.size() > kStopStringBytesMax) {
      return InvalidField("stopping.stop", absl::StrCat("each must have 1 to ", kStopStringBytesMax, " bytes, found ", text.size()));
    }
  }
  return stop.empty() || limits.has_tokenizer ? absl::OkStatus() : NeedTokenizer("stopping.stop");
}

absl::Status CheckStopping(const StoppingCall& stopping, const RequestLimits& limits) {
  if (stopping.max_tokens && (*stopping.max_tokens < 1 || *stopping.max_tokens > limits.context_length)) {
    return InvalidField("stopping.max_tokens", absl::StrCat("must be in [1, ", limits.context_length, "] (the context), found ",
                                                            *stopping.max_tokens));
  }
  const int64_t min_tokens = stopping.min_tokens.value_or(0);
  const int64_t most = stopping.max_tokens.value_or(limits.context_length);
  if (min_tokens < 0 || min_tokens > most) {
    return InvalidField("stopping.min_tokens", absl::StrCat("must be in [0, ", most, "] (max_tokens), found ", min_tokens));
  }
  ATOLL_RETURN_IF_ERROR(CheckStopStrings(stopping.stop, limits));
  ATOLL_RETURN_IF_ERROR(CheckCount("stopping.stop_token_ids", stopping.stop_token_ids.size(), kStopTokensMax));
  return CheckTokenIds(stopping.stop_token_ids, limits.vocabulary_size, "stopping.stop_token_ids");
}

absl::Status CheckTextBytes(const std::string& field, size_t bytes, const RequestLimits& limits) {
  if (!limits.has_tokenizer) return NeedTokenizer(field);
  if (static_cast<int64_t>(bytes) <= limits.prompt_bytes_max) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("has ", bytes, " bytes, which cannot fit the context of ", limits.context_length, " tokens"));
}

absl::Status CheckChat(const ChatPrompt& chat, const RequestLimits& limits) {
  ATOLL_RETURN_IF_ERROR(CheckCount("chat.messages", chat.messages.size(), kChatMessagesMax));
  if (chat.messages.empty()) return InvalidField("chat.messages", "must have at least one message");
  size_t bytes = 0;
  for (const model::ChatMessage& message : chat.messages) bytes += message.content ? message.content->size() : 0;
  for (const model::Tool& tool : chat.tool_use.tools) bytes += tool.name.size() + tool.description.size() + tool.parameters.size();
  return CheckTextBytes("chat", bytes, limits);
}

absl::Status CheckInput(const GenerateCall& call, const RequestLimits& limits) {
  if (const auto* text = std::get_if<TextPrompt>(&call.input)) return CheckTextBytes("text", text->text.size(), limits);
  if (const auto* chat = std::get_if<ChatPrompt>(&call.input)) return CheckChat(*chat, limits);
  const auto* ids = std::get_if<TokenPrompt>(&call.input);
  if (ids == nullptr) return InvalidField("input", "one of text, token_ids and chat must be set");
  if (ids->size() >= static_cast<size_t>(limits.context_length)) {
    return InvalidField("token_ids", absl::StrCat("has ", ids->size(), " tokens; prompt and one token more must fit the context of ",
                                                  limits.context_length));
  }
  return CheckTokenIds(*ids, limits.vocabulary_size, "token_ids");
}

absl::Status CheckFanOut(const GenerateCall& call) {
  if (call.n && (*call.n < 1 || *call.n > kChoicesMax)) {
    return InvalidField("n", absl::StrCat("must be in [1, ", kChoicesMax, "], found ", *call.n));
  }
  if (call.logprobs && (*call.logprobs < 0 || *call.logprobs > kLogprobsMax)) {
    return InvalidField("logprobs", absl::StrCat("must be in [0, ", kLogprobsMax, "], found ", *call.logprobs));
  }
  return absl::OkStatus();
}

absl::Status CheckDeadline(const GenerateCall& call) {
  if (call.deadline_ms.value_or(1) > 0) return absl::OkStatus();
  return WithErrorInfo(absl::DeadlineExceededError("the call's deadline had passed before it arrived; nothing was computed"),
                       {.reason = "DEADLINE_PASSED", .metadata = {}, .retry_after_ms = {}});
}

Sampling MakeSampling(const SamplingCall& call, const RequestLimits& limits) {
  Sampling sampling;
  sampling.temperature = call.temperature.value_or(limits.temperature);
  sampling.top_p = call.top_p.value_or(limits.top_p);
  sampling.top_k = call.top_k.value_or(0);
  sampling.min_p = call.min_p.value_or(0);
  sampling.presence_penalty = call.presence_penalty.value_or(0);
  sampling.frequency_penalty = call.frequency_penalty.value_or(0);
  sampling.repetition_penalty = call.repetition_penalty.value_or(1);
  sampling.logit_bias = {call.logit_bias.begin(), call.logit_bias.end()};
  sampling.seed = call.seed.value_or(0);
  return sampling;
}

// The last position of the context may be sampled but its token never needs a row of its own.
absl::Status CheckContext(int64_t prompt_tokens, std::optional<int64_t> max_tokens, int32_t context_length) {
  if (prompt_tokens == 0) return InvalidField("input", "the prompt has no token; it must have at least one");
  if (prompt_tokens >= context_length) {
    return InvalidField("input", absl::StrCat("the prompt has ", prompt_tokens, " tokens; prompt and one token more must fit the context of ",
                                              context_length));
  }
  if (max_tokens && prompt_tokens + *max_tokens > context_length) {
    return InvalidField("stopping.max_tokens", absl::StrCat("prompt (", prompt_tokens, ") + max_tokens (", *max_tokens,
                                                            ") must fit the context of ", context_length, " tokens"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InvalidField(const std::string& field, const std::string& sentence) {
  return WithErrorInfo(absl::InvalidArgumentError(absl::StrCat(field, ": ", sentence)),
                       {.reason = "INVALID_FIELD", .metadata = {{"field", field}}, .retry_after_ms = {}});
}

absl::Status CheckTokenIds(const std::vector<int32_t>& ids, int32_t vocabulary_size, const std::string& field) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < vocabulary_size) continue;
    return InvalidField(field, absl::StrCat("token ids must be in [0, ", vocabulary_size, "), found ", ids[i], " at index ", i));
  }
  return absl::OkStatus();
}

absl::Status ValidateCall(const GenerateCall& call, const RequestLimits& limits) {
  ATOLL_RETURN_IF_ERROR(CheckRequestId(call.request_id));
  ATOLL_RETURN_IF_ERROR(CheckModel(call.model, limits));
  ATOLL_RETURN_IF_ERROR(CheckFanOut(call));
  ATOLL_RETURN_IF_ERROR(CheckSampling(call.sampling, limits));
  ATOLL_RETURN_IF_ERROR(CheckStopping(call.stopping, limits));
  ATOLL_RETURN_IF_ERROR(CheckInput(call, limits));
  return CheckDeadline(call);
}

absl::StatusOr<Request> MakeRequest(GenerateCall call, std::vector<int32_t> prompt_ids, const RequestLimits& limits) {
  const auto prompt_tokens = static_cast<int64_t>(prompt_ids.size());
  ATOLL_RETURN_IF_ERROR(CheckContext(prompt_tokens, call.stopping.max_tokens, limits.context_length));
  const int64_t prompt_logprobs = call.prompt_logprobs ? prompt_tokens * call.n.value_or(1) * (1 + call.logprobs.value_or(0)) : 0;
  if (prompt_logprobs > kPromptLogprobsMax) {
    return InvalidField("logprobs", absl::StrCat("the prompt's would be ", prompt_logprobs, " with their alternatives, at most ", kPromptLogprobsMax,
                                                 " are given; ask for fewer alternatives, or in parts"));
  }
  Request request;
  request.max_tokens = static_cast<int32_t>(call.stopping.max_tokens.value_or(limits.context_length - prompt_tokens));
  request.min_tokens = static_cast<int32_t>(call.stopping.min_tokens.value_or(0));
  if (request.min_tokens > request.max_tokens) {
    return InvalidField("stopping.min_tokens", absl::StrCat("must be at most ", request.max_tokens,
                                                            " (what the context leaves), found ", request.min_tokens));
  }
  request.request_id = std::move(call.request_id);
  request.trace = std::move(call.trace);
  request.chat = std::holds_alternative<ChatPrompt>(call.input);
  request.n = call.n.value_or(1);
  request.prompt_ids = std::move(prompt_ids);
  request.sampling = MakeSampling(call.sampling, limits);
  request.stop = std::move(call.stopping.stop);
  request.stop_token_ids = std::move(call.stopping.stop_token_ids);
  request.ignore_eos = call.stopping.ignore_eos;
  request.include_stop_string = call.stopping.include_stop_string;
  request.keep_special_tokens = call.stopping.keep_special_tokens;
  request.logprobs = call.logprobs.value_or(-1);
  request.prompt_logprobs = call.prompt_logprobs && request.logprobs >= 0;
  request.constraint = std::move(call.constraint);
  request.deadline_ms = std::min(call.deadline_ms.value_or(limits.deadline_ms_max), limits.deadline_ms_max);
  return request;
}

}  // namespace atoll::router
