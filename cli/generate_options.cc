#include "cli/generate_options.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace atoll::cli {
namespace {

constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();

template <typename T>
std::optional<T> IfGiven(const Options& options, std::string_view name, T value) {
  return options.Given(name) ? std::optional<T>(value) : std::nullopt;
}

absl::StatusOr<std::vector<std::pair<int32_t, float>>> ParseLogitBias(const std::string& text) {
  std::vector<std::pair<int32_t, float>> biases;
  for (const auto& item : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::vector<std::string> pair = absl::StrSplit(item, ':');
    int32_t id = 0;
    float bias = 0;
    if (pair.size() != 2 || !absl::SimpleAtoi(pair[0], &id) || !absl::SimpleAtof(pair[1], &bias) || !std::isfinite(bias))
      return absl::InvalidArgumentError(absl::StrCat("--logit-bias: expected ID:BIAS[,ID:BIAS...], found '", item, "'"));
    biases.emplace_back(id, bias);
  }
  return biases;
}

absl::StatusOr<std::variant<TextInput, IdsInput, ChatInput>> ParseInput(const GenerateOptions& o, const Options& options) {
  const int given = options.Given("--prompt") + options.Given("--prompt-ids") + options.Given("--chat");
  if (given != 1)
    return absl::FailedPreconditionError("expected exactly one of --prompt, --prompt-ids and --chat; see atoll generate --help");
  if (options.Given("--prompt")) return TextInput{o.prompt};
  if (options.Given("--chat")) return ChatInput{{{"user", o.chat}}, std::nullopt};
  ATOLL_ASSIGN_OR_RETURN(std::vector<int32_t> ids, ParseTokenIds(o.prompt_ids, "--prompt-ids"));
  return IdsInput{std::move(ids)};
}

}  // namespace

absl::StatusOr<std::vector<int32_t>> ParseTokenIds(const std::string& text, const std::string& where) {
  std::vector<int32_t> ids;
  for (const absl::string_view item : absl::StrSplit(text, absl::ByAnyChar(", \t\r\n"), absl::SkipEmpty())) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(item, &id))
      return absl::InvalidArgumentError(absl::StrCat(where, ": expected token ids apart by commas, found '", item.substr(0, 40), "'"));
    ids.push_back(id);
  }
  if (ids.empty()) return absl::InvalidArgumentError(absl::StrCat(where, ": expected at least one token id, found none"));
  return ids;
}

void GenerateOptions::Define(Options* options) {
  options->Group("request");
  options->String("--address", &address, "HOST:PORT of the router");
  options->Require("--address");
  options->String("--prompt", &prompt, "text; BOS is put in front as the tokenizer's config says");
  options->String("--prompt-ids", &prompt_ids, "token ids, taken verbatim, for example 0,3576,622");
  options->String("--chat", &chat, "one user message, in the model's chat format");
  options->String("--model", &model, "refuse when another model is served");
  options->Int("--n", &n, {1, 128}, "choices");
  options->Int("--timeout-ms", &timeout_ms, {1, kInt32Max}, "give up after so long");
  options->Group("when to stop");
  options->Int("--max-tokens", &max_tokens, {1, kInt32Max}, "tokens at most; to the end of the context when absent");
  options->Int("--min-tokens", &min_tokens, {0, kInt32Max}, "no end before so many tokens");
  options->List("--stop", &stop, "text that ends the answer; may be given several times");
  options->String("--stop-token-ids", &stop_token_ids, "ids that end the answer");
  options->Flag("--ignore-eos", &ignore_eos, "go on after the end-of-sequence token");
  options->Group("sampling (the model's defaults where absent)");
  options->Float("--temperature", &temperature, {0, 100}, "0 is greedy");
  options->Float("--top-p", &top_p, {0, 1}, "keep the most probable tokens up to this mass");
  options->Int("--top-k", &top_k, {0, kInt32Max}, "keep so many tokens; 0 is off");
  options->Float("--min-p", &min_p, {0, 1}, "keep tokens at least this probable, relative to the best");
  options->Float("--presence-penalty", &presence_penalty, {-2, 2}, "once per token that has appeared");
  options->Float("--frequency-penalty", &frequency_penalty, {-2, 2}, "per appearance");
  options->Float("--repetition-penalty", &repetition_penalty, {0, 2}, "divides logits of tokens that have appeared");
  options->String("--logit-bias", &logit_bias, "ID:BIAS[,ID:BIAS...]");
  options->Int("--seed", &seed, {0, std::numeric_limits<int64_t>::max()}, "same seed, same tokens; random when absent");
  for (const char* name : {"--temperature", "--top-p", "--top-k", "--min-p", "--presence-penalty", "--frequency-penalty",
                           "--repetition-penalty", "--seed", "--max-tokens", "--min-tokens", "--timeout-ms"})
    options->NoDefault(name);
  options->Group("output");
  options->Int("--logprobs", &logprobs, {0, 20}, "log probabilities of each token and of so many alternatives");
  options->NoDefault("--logprobs");
  options->Flag("--json", &json, "one JSON object at the end instead of text as it comes");
  options->Flag("--timing", &timing, "say on standard error where the time went");
}

absl::StatusOr<GenerateCall> GenerateOptions::ToCall(const Options& options) const {
  GenerateCall call;
  ATOLL_ASSIGN_OR_RETURN(call.input, ParseInput(*this, options));
  call.model = model;
  call.temperature = IfGiven(options, "--temperature", temperature);
  call.top_p = IfGiven(options, "--top-p", top_p);
  call.min_p = IfGiven(options, "--min-p", min_p);
  call.presence_penalty = IfGiven(options, "--presence-penalty", presence_penalty);
  call.frequency_penalty = IfGiven(options, "--frequency-penalty", frequency_penalty);
  call.repetition_penalty = IfGiven(options, "--repetition-penalty", repetition_penalty);
  call.top_k = IfGiven(options, "--top-k", top_k);
  call.seed = IfGiven(options, "--seed", seed);
  call.max_tokens = IfGiven(options, "--max-tokens", max_tokens);
  call.min_tokens = IfGiven(options, "--min-tokens", min_tokens);
  call.n = IfGiven(options, "--n", n);
  call.logprobs = IfGiven(options, "--logprobs", logprobs);
  call.timeout_ms = IfGiven(options, "--timeout-ms", timeout_ms);
  call.stop = stop;
  call.ignore_eos = ignore_eos;
  ATOLL_ASSIGN_OR_RETURN(call.logit_bias, ParseLogitBias(logit_bias));
  if (options.Given("--stop-token-ids")) {
    ATOLL_ASSIGN_OR_RETURN(call.stop_token_ids, ParseTokenIds(stop_token_ids, "--stop-token-ids"));
  }
  return call;
}

}  // namespace atoll::cli
