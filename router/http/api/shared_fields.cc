#include "router/http/api/shared_fields.h"

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "router/http/api/constraint_fields.h"
#include "router/request/validation.h"

namespace atoll::router::http {
namespace {

// What a field may say and mean nothing by it.
enum class Neutral { kFalse, kTrue, kZero, kOne, kEmpty, kNothing };

struct Unsupported {
  const char* name;
  Neutral neutral;
};

constexpr Unsupported kUnsupported[] = {
    {"suffix", Neutral::kEmpty},
    {"use_beam_search", Neutral::kFalse},
    {"length_penalty", Neutral::kOne},
    {"spaces_between_special_tokens", Neutral::kTrue},
    {"truncate_prompt_tokens", Neutral::kNothing},
    {"prompt_logprobs", Neutral::kNothing},
    {"allowed_token_ids", Neutral::kEmpty},
    {"bad_words", Neutral::kEmpty},
    {"guided_regex", Neutral::kNothing},
    {"guided_choice", Neutral::kNothing},
    {"guided_grammar", Neutral::kNothing},
    {"return_tokens_as_token_ids", Neutral::kFalse},
    {"return_hidden_states", Neutral::kFalse},
    {"logits_processors", Neutral::kEmpty},
    {"kv_transfer_params", Neutral::kNothing},
    {"mm_processor_kwargs", Neutral::kEmpty},
    {"priority", Neutral::kZero},
    {"no_stop_trim", Neutral::kFalse},
    {"continue_final_message", Neutral::kFalse},
    {"lora_path", Neutral::kEmpty},
    // The caller's own template would be a program of the caller's.
    {"chat_template", Neutral::kNothing},
};

bool IsNeutral(const Json& value, Neutral neutral) {
  switch (neutral) {
    case Neutral::kFalse: return value == false;
    case Neutral::kTrue: return value == true;
    case Neutral::kZero: return value == 0;
    case Neutral::kOne: return value == 1;
    case Neutral::kEmpty: return value.empty() || (value.is_string() && value.get_ref<const std::string&>().empty());
    case Neutral::kNothing: return false;
  }
  return false;
}

std::vector<std::string> ReadStop(JsonFields& fields) {
  const Json* stop = fields.Any("stop");
  if (stop == nullptr) return {};
  if (stop->is_string()) return {stop->get<std::string>()};
  std::vector<std::string> stops;
  if (!stop->is_array()) fields.Fail("stop", absl::StrCat("expected a string or a list of strings, found ", TypeName(*stop)));
  for (const Json& entry : stop->is_array() ? *stop : Json::array()) {
    if (!entry.is_string()) fields.Fail(absl::StrCat("stop[", stops.size(), "]"), absl::StrCat("expected a string, found ", TypeName(entry)));
    stops.push_back(entry.is_string() ? entry.get<std::string>() : "");
  }
  return stops;
}

std::vector<std::pair<int32_t, float>> ReadLogitBias(JsonFields& fields) {
  std::vector<std::pair<int32_t, float>> biases;
  const Json* object = fields.Object("logit_bias");
  if (object == nullptr) return biases;
  for (const auto& [key, value] : object->items()) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(key, &id)) fields.Fail("logit_bias", "expected token ids as the members' names");
    if (!value.is_number()) fields.Fail("logit_bias", absl::StrCat("expected numbers, found ", TypeName(value)));
    biases.emplace_back(id, value.is_number() ? static_cast<float>(value.get<double>()) : 0.0F);
  }
  return biases;
}

std::optional<int32_t> Narrow(JsonFields& fields, const std::string& name) {
  const std::optional<int64_t> value = fields.Int(name);
  if (!value) return std::nullopt;
  if (*value < INT32_MIN || *value > INT32_MAX) fields.Fail(name, absl::StrCat("must fit 32 bits, found ", *value));
  return static_cast<int32_t>(*value);
}

}  // namespace

SamplingCall ReadSampling(JsonFields& fields) {
  SamplingCall sampling;
  sampling.temperature = fields.Float("temperature");
  sampling.top_p = fields.Float("top_p");
  sampling.top_k = Narrow(fields, "top_k");
  if (sampling.top_k == -1) sampling.top_k = 0;  // vLLM's word for off
  sampling.min_p = fields.Float("min_p");
  sampling.presence_penalty = fields.Float("presence_penalty");
  sampling.frequency_penalty = fields.Float("frequency_penalty");
  sampling.repetition_penalty = fields.Float("repetition_penalty");
  sampling.logit_bias = ReadLogitBias(fields);
  sampling.seed = fields.Bits("seed");
  return sampling;
}

StoppingCall ReadStopping(JsonFields& fields) {
  StoppingCall stopping;
  stopping.max_tokens = fields.Int("max_completion_tokens");
  const std::optional<int64_t> max_tokens = fields.Int("max_tokens");
  if (stopping.max_tokens && max_tokens && *max_tokens != *stopping.max_tokens) {
    fields.Fail("max_tokens", "contradicts max_completion_tokens; send one of them");
  }
  if (!stopping.max_tokens) stopping.max_tokens = max_tokens;
  stopping.min_tokens = fields.Int("min_tokens");
  stopping.stop = ReadStop(fields);
  stopping.stop_token_ids = fields.TokenIds("stop_token_ids");
  stopping.ignore_eos = fields.Bool("ignore_eos").value_or(false);
  stopping.include_stop_string = fields.Bool("include_stop_str_in_output").value_or(false);
  stopping.keep_special_tokens = !fields.Bool("skip_special_tokens").value_or(true);
  return stopping;
}

void ReadAnswer(JsonFields& fields, AnswerOptions& answer) {
  answer.stream = fields.Bool("stream").value_or(false);
  answer.return_token_ids = fields.Bool("return_token_ids").value_or(false);
  const Json* stream_options = fields.Object("stream_options");
  if (stream_options == nullptr) return;
  JsonFields options(*stream_options, "stream_options");
  answer.include_usage = options.Bool("include_usage").value_or(false);
  answer.continuous_usage = options.Bool("continuous_usage_stats").value_or(false);
  options.Any("include_obfuscation");
  fields.Merge(options.status());
}

void RefuseUnsupported(JsonFields& fields) {
  for (const Unsupported& field : kUnsupported) {
    const Json* value = fields.Any(field.name);
    if (value != nullptr && !IsNeutral(*value, field.neutral)) fields.Refuse(field.name, "is not supported here; leave it out");
  }
}

void Ignore(JsonFields& fields) {
  for (const char* name : {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "separate_reasoning",
                           "stream_reasoning", "cache_salt", "vllm_xargs"}) {
    fields.Any(name);
  }
}

GenerateCall ReadCall(JsonFields& fields, std::string_view text) {
  GenerateCall call;
  call.model = fields.Text("model").value_or("");
  call.request_id = fields.Text("request_id").value_or("");
  call.sampling = ReadSampling(fields);
  call.stopping = ReadStopping(fields);
  call.n = Narrow(fields, "n");
  const std::optional<int64_t> best_of = fields.Int("best_of");
  if (best_of && *best_of != call.n.value_or(1)) fields.Refuse("best_of", "is supported only where it equals n");
  call.constraint = ReadConstraint(fields, text);
  RefuseUnsupported(fields);
  Ignore(fields);
  return call;
}

}  // namespace atoll::router::http
