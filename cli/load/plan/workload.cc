#include "cli/load/plan/workload.h"

#include <algorithm>

#include "base/check.h"

namespace atoll::load {
namespace {

constexpr int64_t kOutputTokens = 64;
constexpr uint64_t kRequestStreams = 1000;  // streams below belong to the schedule

bool HasInput(const Prompt& prompt) { return !std::holds_alternative<std::monostate>(prompt.input); }

std::variant<cli::TextInput, cli::IdsInput, cli::ChatInput> Input(const Prompt& prompt, bool as_chat) {
  if (const auto* ids = std::get_if<cli::IdsInput>(&prompt.input)) return *ids;
  if (const auto* chat = std::get_if<cli::ChatInput>(&prompt.input)) return *chat;
  const auto& text = std::get<cli::TextInput>(prompt.input);
  if (as_chat) return cli::ChatInput{{{"user", text.text}}, std::nullopt};
  return text;
}

}  // namespace

bool Workload::NeedsCorpus(const WorkloadOptions& options, const std::vector<Prompt>& prompts) {
  return options.prompt_tokens || !std::all_of(prompts.begin(), prompts.end(), HasInput);
}

Workload::Workload(WorkloadOptions options, std::vector<Prompt> prompts, std::vector<int32_t> corpus)
    : options_(std::move(options)), prompts_(std::move(prompts)), corpus_(std::move(corpus)) {
  ATOLL_CHECK(!prompts_.empty(), "a workload without prompts");
  ATOLL_CHECK(!corpus_.empty() || !NeedsCorpus(options_, prompts_), "a workload without a corpus");
}

LoadCall Workload::Call(uint64_t index) const {
  Random random(options_.seed, kRequestStreams + index);
  const Prompt& prompt = prompts_[options_.shuffle ? random.Below(prompts_.size()) : index % prompts_.size()];
  LoadCall call;
  call.index = index;
  call.request_id = options_.run_id + "-" + std::to_string(index);
  if (options_.prompt_tokens) call.input = Ids(options_.prompt_tokens->Draw(random), random);
  else if (!HasInput(prompt)) call.input = Ids(*prompt.prompt_tokens, random);
  else call.input = Input(prompt, options_.as_chat);
  call.max_tokens = options_.output_tokens ? options_.output_tokens->Draw(random) : prompt.output_tokens.value_or(kOutputTokens);
  call.ignore_eos = options_.ignore_eos;
  call.temperature = options_.temperature;
  call.seed = random.Next() >> 1;
  if (random.Uniform() <= options_.cancel_share) call.cancel_after_tokens = 1 + static_cast<int64_t>(random.Below(static_cast<uint64_t>(call.max_tokens)));
  return call;
}

cli::IdsInput Workload::Ids(int64_t length, Random& random) const {
  cli::IdsInput input;
  input.ids.reserve(static_cast<size_t>(length));
  size_t at = random.Below(corpus_.size());
  while (static_cast<int64_t>(input.ids.size()) < length) {
    input.ids.push_back(corpus_[at]);
    at = (at + 1) % corpus_.size();
  }
  return input;
}

}  // namespace atoll::load
