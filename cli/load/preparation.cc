#include "cli/load/preparation.h"

#include <algorithm>

#include "cli/load/plan/dataset.h"

namespace atoll::load {
namespace {

constexpr size_t kCorpusIdsMax = 1 << 20;
constexpr size_t kRandomIds = 1 << 16;
constexpr uint64_t kCorpusStream = 2;

const cli::TextInput* TextOf(const Prompt& prompt) { return std::get_if<cli::TextInput>(&prompt.input); }

// Real text where there is some and the model has a tokenizer, else ids drawn from the whole vocabulary.
absl::StatusOr<std::vector<int32_t>> Corpus(const std::vector<Prompt>& prompts, const TargetFacts& facts, uint64_t seed, LoadTarget& target) {
  std::vector<int32_t> corpus;
  for (const Prompt& prompt : prompts) {
    if (!facts.has_tokenizer || corpus.size() >= kCorpusIdsMax) break;
    if (!TextOf(prompt) || TextOf(prompt)->text.empty()) continue;
    ATOLL_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, target.Tokenize(TextOf(prompt)->text));
    corpus.insert(corpus.end(), ids.begin(), ids.end());
  }
  Random random(seed, kCorpusStream);
  const auto vocabulary = static_cast<uint64_t>(std::max<int64_t>(facts.vocabulary_size, 1));
  while (corpus.empty() || (!facts.has_tokenizer && corpus.size() < kRandomIds)) corpus.push_back(static_cast<int32_t>(random.Below(vocabulary)));
  return corpus;
}

// Recorded answers become the lengths to ask for.
absl::Status CountAnswers(LoadTarget& target, std::vector<Prompt>* prompts) {
  for (Prompt& prompt : *prompts) {
    if (prompt.answer.empty() || prompt.output_tokens) continue;
    ATOLL_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, target.Tokenize(prompt.answer));
    prompt.output_tokens = std::max<int64_t>(1, static_cast<int64_t>(ids.size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> SortByTime(std::vector<Prompt>* prompts) {
  std::vector<int64_t> times;
  for (const Prompt& prompt : *prompts)
    if (!prompt.at_ns) return absl::InvalidArgumentError("--arrivals trace: expected a \"timestamp\" in every line of --dataset, found one without");
  std::stable_sort(prompts->begin(), prompts->end(), [](const Prompt& a, const Prompt& b) { return *a.at_ns < *b.at_ns; });
  for (const Prompt& prompt : *prompts) times.push_back(*prompt.at_ns);
  return times;
}

absl::Status CheckFit(const LoadOptions& chosen, const std::vector<Prompt>& prompts, const TargetFacts& facts) {
  const bool texts = std::any_of(prompts.begin(), prompts.end(), [](const Prompt& p) { return TextOf(p) || std::holds_alternative<cli::ChatInput>(p.input); });
  if (texts && !facts.has_tokenizer && chosen.prompt_tokens.empty())
    return absl::InvalidArgumentError("the model is served by token ids alone, and the dataset holds texts: give --prompt-tokens, or a dataset of token_ids");
  return absl::OkStatus();
}

std::string LengthsText(const LoadOptions& chosen) {
  return absl::StrCat("prompts of ", chosen.prompt_tokens.empty() ? "the dataset's length" : chosen.prompt_tokens + " tokens", ", answers of ",
                      chosen.output_tokens.empty() ? "the dataset's length (64 tokens where it says none)" : chosen.output_tokens + " tokens",
                      chosen.stop_at_eos ? " or to their end" : "");
}

}  // namespace

absl::StatusOr<PreparedLoad> Prepare(const LoadOptions& chosen, const LoadPlan& plan, const TargetFacts& facts, LoadTarget& target) {
  std::vector<Prompt> prompts = BuiltinTexts();
  if (chosen.dataset != "builtin") {
    ATOLL_ASSIGN_OR_RETURN(prompts, ReadDatasetFile(chosen.dataset, {.entries = chosen.dataset_limit}));
  }
  ATOLL_RETURN_IF_ERROR(CheckFit(chosen, prompts, facts));
  std::vector<int64_t> times_ns;
  if (plan.arrivals == "trace") {
    ATOLL_ASSIGN_OR_RETURN(times_ns, SortByTime(&prompts));
  }
  if (facts.has_tokenizer && chosen.output_tokens.empty()) ATOLL_RETURN_IF_ERROR(CountAnswers(target, &prompts));
  std::vector<int32_t> corpus;
  if (Workload::NeedsCorpus(plan.workload, prompts)) {
    ATOLL_ASSIGN_OR_RETURN(corpus, Corpus(prompts, facts, plan.workload.seed, target));
  }
  const std::string dataset = absl::StrCat(chosen.dataset == "builtin" ? "built-in texts" : chosen.dataset, " (", prompts.size(), " entries)");
  return PreparedLoad{Workload(plan.workload, std::move(prompts), std::move(corpus)), std::move(times_ns), LengthsText(chosen), dataset};
}

}  // namespace atoll::load
