#include "router/inference/messages_service.h"

#include <optional>
#include <utility>

#include "atoll/v1/inference.pb.h"

namespace atoll::router {
namespace {

ChatPrompt ReadChat(const v1::Chat& from) {
  ChatPrompt chat;
  if (from.has_thinking()) chat.thinking = from.thinking();
  for (const v1::ChatMessage& message : from.messages()) {
    model::ChatMessage& to = chat.messages.emplace_back();
    to.role = message.role();
    // The wire does not tell an absent content from an empty one; beside tool calls an empty one is absent.
    if (!message.content().empty() || message.tool_calls().empty()) to.content = message.content();
    for (const v1::ToolCall& call : message.tool_calls()) {
      to.tool_calls.push_back({.type = "function", .name = call.name(), .arguments = call.arguments()});
    }
  }
  return chat;
}

SamplingCall ReadSampling(const v1::SamplingParams& from) {
  SamplingCall sampling;
  if (from.has_temperature()) sampling.temperature = from.temperature();
  if (from.has_top_p()) sampling.top_p = from.top_p();
  if (from.has_top_k()) sampling.top_k = from.top_k();
  if (from.has_min_p()) sampling.min_p = from.min_p();
  if (from.has_presence_penalty()) sampling.presence_penalty = from.presence_penalty();
  if (from.has_frequency_penalty()) sampling.frequency_penalty = from.frequency_penalty();
  if (from.has_repetition_penalty()) sampling.repetition_penalty = from.repetition_penalty();
  if (from.has_seed()) sampling.seed = from.seed();
  sampling.logit_bias.assign(from.logit_bias().begin(), from.logit_bias().end());
  return sampling;
}

StoppingCall ReadStopping(const v1::StopConditions& from) {
  StoppingCall stopping;
  if (from.has_max_tokens()) stopping.max_tokens = from.max_tokens();
  if (from.has_min_tokens()) stopping.min_tokens = from.min_tokens();
  stopping.stop = {from.stop().begin(), from.stop().end()};
  stopping.stop_token_ids = {from.stop_token_ids().begin(), from.stop_token_ids().end()};
  stopping.ignore_eos = from.ignore_eos();
  return stopping;
}

void FillLogprobs(const SampledToken& token, v1::TokenLogprobs& to) {
  to.set_token_id(token.token_id);
  to.set_logprob(token.logprob);
  for (const TokenLogprob& top : token.top) {
    v1::TokenLogprob& entry = *to.add_top();
    entry.set_token_id(top.token_id);
    entry.set_logprob(top.logprob);
  }
}

void FillChoice(const ChoiceDelta& delta, bool with_logprobs, v1::Choice& to) {
  to.set_index(delta.index);
  to.set_text(delta.text);
  for (const SampledToken& token : delta.tokens) {
    to.add_token_ids(token.token_id);
    if (with_logprobs) FillLogprobs(token, *to.add_logprobs());
  }
  if (delta.finish) to.set_finish_reason(*delta.finish == FinishReason::kStop ? v1::FINISH_REASON_STOP : v1::FINISH_REASON_LENGTH);
}

void FillSummary(const RequestSummary& summary, v1::GenerateResponse& to) {
  to.mutable_usage()->set_prompt_tokens(summary.prompt_tokens);
  to.mutable_usage()->set_completion_tokens(summary.completion_tokens);
  to.set_seed(summary.seed);
  v1::Timing& timing = *to.mutable_timing();
  timing.set_queue_us(summary.stages.queue_us);
  timing.set_first_token_us(summary.first_token_us);
  timing.set_total_us(summary.total_us);
  timing.set_attention_us(summary.stages.attention_us);
  timing.set_dispatch_us(summary.stages.dispatch_us);
  timing.set_experts_us(summary.stages.experts_us);
  timing.set_combine_us(summary.stages.combine_us);
  timing.set_sampling_us(summary.stages.sampling_us);
  timing.set_steps(summary.stages.steps);
}

}  // namespace

GenerateCall ReadCall(const v1::GenerateRequest& from) {
  GenerateCall call;
  call.request_id = from.request_id();
  call.model = from.model();
  switch (from.input_case()) {
    case v1::GenerateRequest::kText: call.input = TextPrompt{from.text()}; break;
    case v1::GenerateRequest::kTokenIds: call.input = TokenPrompt(from.token_ids().ids().begin(), from.token_ids().ids().end()); break;
    case v1::GenerateRequest::kChat: call.input = ReadChat(from.chat()); break;
    default: break;
  }
  call.sampling = ReadSampling(from.sampling());
  call.stopping = ReadStopping(from.stopping());
  if (from.has_json_schema()) call.constraint = model::Constraint{.kind = model::JsonSchema{from.json_schema()}};
  if (from.json_object()) call.constraint = model::Constraint{.kind = model::JsonObject{}};
  if (from.has_n()) call.n = from.n();
  if (from.has_logprobs()) call.logprobs = from.logprobs();
  return call;
}

FrontDoor::TokenizeCall ReadTokenize(const v1::TokenizeRequest& from) {
  FrontDoor::TokenizeCall call;
  if (from.has_chat()) {
    call.input = ReadChat(from.chat());
  } else if (from.input_case() == v1::TokenizeRequest::kText) {
    call.input = TextPrompt{from.text()};
  }
  call.no_specials = from.no_specials();
  call.add_bos = from.add_bos();
  return call;
}

void FillResponse(const ResponseDelta& delta, bool with_logprobs, v1::GenerateResponse& to) {
  for (const ChoiceDelta* choice : delta.choices) FillChoice(*choice, with_logprobs, *to.add_choices());
  if (delta.summary != nullptr) FillSummary(*delta.summary, to);
}

}  // namespace atoll::router
