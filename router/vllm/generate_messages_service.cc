#include "router/vllm/generate_messages_service.h"

#include <algorithm>
#include <climits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "router/request/validation.h"

namespace atoll::router {
namespace {

namespace engine = vllm::grpc::engine;

// Ids and counts beyond any that can be right are refused for their range further on.
int32_t Signed(uint32_t value) { return static_cast<int32_t>(std::min<uint32_t>(value, INT32_MAX)); }

absl::Status Unsupported(const std::string& field, const std::string& sentence) {
  return WithErrorInfo(absl::InvalidArgumentError(absl::StrCat(field, ": ", sentence)),
                       {.reason = "UNSUPPORTED_VALUE", .metadata = {{"field", field}}, .retry_after_ms = {}});
}

absl::Status ReadConstraint(const engine::SamplingParams& params, std::optional<model::Constraint>& to) {
  switch (params.constraint_case()) {
    case engine::SamplingParams::CONSTRAINT_NOT_SET: return absl::OkStatus();
    case engine::SamplingParams::kJsonSchema: to = model::Constraint{.kind = model::JsonSchema{params.json_schema()}}; return absl::OkStatus();
    case engine::SamplingParams::kJsonObject:
      if (params.json_object()) to = model::Constraint{.kind = model::JsonObject{}};
      return absl::OkStatus();
    default: break;
  }
  const auto* field = engine::SamplingParams::descriptor()->FindFieldByNumber(params.constraint_case());
  return Unsupported(absl::StrCat("sampling_params.", field->name()), "outputs can be constrained by json_schema and json_object alone");
}

absl::Status CheckOffered(const engine::GenerateRequest& from) {
  const struct { bool set; const char* field; const char* sentence; } refused[] = {
      {from.has_mm_inputs(), "mm_inputs", "the model takes text alone"},
      {from.extra_mm_inputs_size() > 0, "extra_mm_inputs", "the model takes text alone"},
      {from.has_media_refs(), "media_refs", "the model takes text alone"},
      {from.has_kv_transfer_params(), "kv_transfer_params", "the cluster moves its pages itself"},
      {from.has_kv_transfer_params_json(), "kv_transfer_params_json", "the cluster moves its pages itself"},
      {from.data_parallel_rank() > 0, "data_parallel_rank", "there is one rank, 0: the router chooses the attention node"},
  };
  for (const auto& one : refused) {
    if (one.set) return Unsupported(one.field, one.sentence);
  }
  return absl::OkStatus();
}

// Zero stands for unset where the neutral value is another one.
SamplingCall ReadSampling(const engine::SamplingParams& from) {
  SamplingCall sampling;
  if (from.has_temperature()) sampling.temperature = from.temperature();
  if (from.top_p() != 0) sampling.top_p = from.top_p();
  sampling.top_k = Signed(from.top_k());
  sampling.min_p = from.min_p();
  sampling.presence_penalty = from.presence_penalty();
  sampling.frequency_penalty = from.frequency_penalty();
  if (from.repetition_penalty() != 0) sampling.repetition_penalty = from.repetition_penalty();
  if (from.has_seed() && from.seed() != -1) sampling.seed = static_cast<uint64_t>(int64_t{from.seed()});
  sampling.logit_bias.assign(from.logit_bias().begin(), from.logit_bias().end());
  return sampling;
}

StoppingCall ReadStopping(const engine::SamplingParams& from) {
  StoppingCall stopping;
  if (from.has_max_tokens()) stopping.max_tokens = from.max_tokens();
  stopping.min_tokens = from.min_tokens();
  stopping.stop = {from.stop().begin(), from.stop().end()};
  for (const uint32_t id : from.stop_token_ids()) stopping.stop_token_ids.push_back(Signed(id));
  stopping.ignore_eos = from.ignore_eos();
  stopping.keep_special_tokens = !from.skip_special_tokens();
  return stopping;
}

absl::Status Truncate(int32_t tokens, GenerateCall& call) {
  auto* ids = std::get_if<TokenPrompt>(&call.input);
  if (tokens < 1 || ids == nullptr) {
    return InvalidField("sampling_params.truncate_prompt_tokens", "must be at least 1, and the input must be tokenized");
  }
  if (ids->size() > static_cast<size_t>(tokens)) ids->erase(ids->begin(), ids->end() - tokens);
  return absl::OkStatus();
}

// The request has one number of alternatives for prompt and outputs: the larger one, of which each gets its part.
void ReadLogprobs(const engine::SamplingParams& from, GenerateCall& call) {
  if (from.has_logprobs()) call.logprobs = from.logprobs();
  if (!from.has_prompt_logprobs()) return;
  call.prompt_logprobs = true;
  const bool either_wrong = from.prompt_logprobs() < 0 || call.logprobs.value_or(0) < 0;
  call.logprobs = either_wrong ? -1 : std::max(from.prompt_logprobs(), call.logprobs.value_or(0));
}

void FillTop(const SampledToken& token, int32_t alternatives, engine::TopLogProbs& to) {
  for (size_t i = 0; i < token.top.size() && i < static_cast<size_t>(alternatives); ++i) {
    to.add_values(token.top[i].logprob);
    to.add_token_ids(static_cast<uint32_t>(token.top[i].token_id));
  }
}

// About what a token becomes in a message.
size_t TokenBytes(const std::optional<int32_t>& logprobs) {
  return logprobs ? 16 + 10 * static_cast<size_t>(*logprobs) : 5;
}

}  // namespace

absl::StatusOr<GenerateCall> ReadVllmCall(const engine::GenerateRequest& from) {
  ATOLL_RETURN_IF_ERROR(CheckOffered(from));
  const engine::SamplingParams& params = from.sampling_params();
  GenerateCall call;
  call.request_id = from.request_id();
  if (from.has_tokenized()) {
    TokenPrompt ids;
    ids.reserve(from.tokenized().input_ids_size());
    for (const uint32_t id : from.tokenized().input_ids()) ids.push_back(Signed(id));
    call.input = std::move(ids);
  } else if (from.input_case() == engine::GenerateRequest::kText) {
    call.input = TextPrompt{from.text()};
  }
  call.sampling = ReadSampling(params);
  call.stopping = ReadStopping(params);
  if (params.n() != 0) call.n = Signed(params.n());
  ReadLogprobs(params, call);
  ATOLL_RETURN_IF_ERROR(ReadConstraint(params, call.constraint));
  if (params.has_truncate_prompt_tokens()) ATOLL_RETURN_IF_ERROR(Truncate(params.truncate_prompt_tokens(), call));
  return call;
}

VllmAnswer::VllmAnswer(const engine::GenerateRequest& from)
    : stream_(from.stream()),
      logprobs_(from.sampling_params().has_logprobs() ? std::optional(from.sampling_params().logprobs()) : std::nullopt),
      prompt_logprobs_(from.sampling_params().has_prompt_logprobs() ? std::optional(from.sampling_params().prompt_logprobs()) : std::nullopt) {}

void VllmAnswer::Begin(const Request& request) {
  request_ = &request;
  outputs_.resize(static_cast<size_t>(request.n));
}

bool VllmAnswer::Take(const ResponseDelta& delta, VllmResponses& to) {
  for (const ChoiceDelta* choice : delta.choices) {
    Output& output = outputs_[choice->index];
    output.tokens += static_cast<int64_t>(choice->tokens.size());
    if (!choice->tokens.empty()) output.last_token = choice->tokens.back().token_id;
    if (stream_) {
      Stream(*choice, output, to);
    } else {
      Keep(*choice, output);
    }
    if (!choice->finish) continue;
    FillStop(*choice, output, output.kept);
    Finish(choice->index, *choice->finish == FinishReason::kStop ? "stop" : "length", output, to);
  }
  return kept_bytes_ <= kWholeOutputBytesMax;
}

void VllmAnswer::Abort(VllmResponses& to) {
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (!outputs_[i].finished) Finish(static_cast<uint32_t>(i), "abort", outputs_[i], to);
  }
}

void VllmAnswer::Stream(const ChoiceDelta& delta, Output& output, VllmResponses& to) const {
  if (delta.tokens.empty()) return;
  engine::GenerateStreamChunk& chunk = *to.emplace_back().mutable_chunk();
  chunk.set_index(delta.index);
  for (const SampledToken& token : delta.tokens) chunk.add_token_ids(static_cast<uint32_t>(token.token_id));
  FillCounts(output, chunk);
  FillLogprobs(delta, !std::exchange(output.begun, true), chunk);
}

void VllmAnswer::Keep(const ChoiceDelta& delta, Output& output) {
  for (const SampledToken& token : delta.tokens) output.kept.add_output_ids(static_cast<uint32_t>(token.token_id));
  FillLogprobs(delta, !output.begun && !delta.tokens.empty(), output.kept);
  output.begun |= !delta.tokens.empty();
  kept_bytes_ += delta.tokens.size() * TokenBytes(logprobs_) + delta.prompt.size() * TokenBytes(prompt_logprobs_);
}

void VllmAnswer::Finish(uint32_t index, const char* reason, Output& output, VllmResponses& to) const {
  output.finished = true;
  output.kept.set_index(index);
  output.kept.set_finish_reason(reason);
  FillCounts(output, output.kept);
  *to.emplace_back().mutable_complete() = std::move(output.kept);
}

// Neither is set at the end of the sequence.
void VllmAnswer::FillStop(const ChoiceDelta& delta, const Output& output, engine::GenerateComplete& to) const {
  const std::vector<int32_t>& ids = request_->stop_token_ids;
  if (!delta.stop_string.empty()) {
    to.set_matched_stop_str(delta.stop_string);
  } else if (*delta.finish == FinishReason::kStop && std::find(ids.begin(), ids.end(), output.last_token) != ids.end()) {
    to.set_matched_token_id(static_cast<uint32_t>(output.last_token));
  }
}

template <typename Message>
void VllmAnswer::FillCounts(const Output& output, Message& to) const {
  to.set_prompt_tokens(static_cast<uint32_t>(request_->prompt_ids.size()));
  to.set_completion_tokens(static_cast<uint32_t>(output.tokens));
}

template <typename Message>
void VllmAnswer::FillLogprobs(const ChoiceDelta& delta, bool first, Message& to) const {
  if (first && prompt_logprobs_) FillPrompt(delta, *to.mutable_input_logprobs());
  if (!logprobs_) return;
  engine::OutputLogProbs& logprobs = *to.mutable_output_logprobs();
  for (const SampledToken& token : delta.tokens) {
    logprobs.add_token_logprobs(token.logprob);
    logprobs.add_token_ids(static_cast<uint32_t>(token.token_id));
    FillTop(token, *logprobs_, *logprobs.add_top_logprobs());
  }
}

// Nothing comes before the first token, so that it has no log-probability.
void VllmAnswer::FillPrompt(const ChoiceDelta& delta, engine::InputLogProbs& to) const {
  to.add_token_logprobs();
  to.add_token_ids(static_cast<uint32_t>(request_->prompt_ids.front()));
  to.add_top_logprobs();
  for (const SampledToken& token : delta.prompt) {
    to.add_token_logprobs()->set_value(token.logprob);
    to.add_token_ids(static_cast<uint32_t>(token.token_id));
    FillTop(token, *prompt_logprobs_, *to.add_top_logprobs());
  }
}

}  // namespace atoll::router
