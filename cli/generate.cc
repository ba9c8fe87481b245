#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/options.h"
#include "cli/command.h"
#include "cli/generate_options.h"
#include "cli/router_client.h"

namespace atoll::cli {
namespace {

// A choice put together from its pieces.
struct WholeChoice {
  std::string text;
  std::vector<int32_t> token_ids;
  std::vector<TokenLogprob> logprobs;
  std::string finish_reason;
};

class Answer {
 public:
  explicit Answer(size_t choices) : choices_(choices) {}

  void Add(const ChoicePiece& piece) {
    if (piece.index >= choices_.size()) return;
    WholeChoice& choice = choices_[piece.index];
    choice.text += piece.text;
    choice.token_ids.insert(choice.token_ids.end(), piece.token_ids.begin(), piece.token_ids.end());
    choice.logprobs.insert(choice.logprobs.end(), piece.logprobs.begin(), piece.logprobs.end());
    if (!piece.finish_reason.empty()) choice.finish_reason = piece.finish_reason;
  }

  const std::vector<WholeChoice>& choices() const { return choices_; }

 private:
  std::vector<WholeChoice> choices_;
};

// A float32 as the shortest decimal that reads back as the same float32, and then as the same double everywhere.
nlohmann::json FloatJson(float value) { return static_cast<double>(value); }

nlohmann::ordered_json LogprobsJson(const std::vector<TokenLogprob>& logprobs) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const TokenLogprob& logprob : logprobs) {
    nlohmann::ordered_json top = nlohmann::ordered_json::array();
    for (const auto& [id, value] : logprob.top) top.push_back({{"token_id", id}, {"logprob", FloatJson(value)}});
    list.push_back({{"token_id", logprob.token_id}, {"logprob", FloatJson(logprob.logprob)}, {"top", std::move(top)}});
  }
  return list;
}

void PrintJson(const Answer& answer, const GenerateSummary& summary, bool with_logprobs) {
  nlohmann::ordered_json out;
  out["choices"] = nlohmann::ordered_json::array();
  for (const WholeChoice& choice : answer.choices()) {
    nlohmann::ordered_json item{{"text", choice.text}, {"token_ids", choice.token_ids}};
    item["logprobs"] = with_logprobs ? LogprobsJson(choice.logprobs) : nlohmann::ordered_json(nullptr);
    item["finish_reason"] = choice.finish_reason;
    out["choices"].push_back(std::move(item));
  }
  out["usage"] = {{"prompt_tokens", summary.usage.prompt_tokens}, {"completion_tokens", summary.usage.completion_tokens}};
  out["timing"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : summary.timing) out["timing"][name] = value;
  out["seed"] = summary.seed;
  std::cout << out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

void PrintTexts(const Answer& answer) {
  for (size_t i = 0; i < answer.choices().size(); ++i) std::cout << "[" << i << "] " << answer.choices()[i].text << "\n";
  std::cout << std::flush;
}

void PrintLogprobs(const Answer& answer) {
  for (const WholeChoice& choice : answer.choices())
    std::cout << LogprobsJson(choice.logprobs).dump() << "\n";
  std::cout << std::flush;
}

int64_t TimingOf(const Timing& timing, std::string_view name) {
  for (const auto& [key, value] : timing)
    if (key == name) return value;
  return 0;
}

// "first token 12.3 ms, 45.6 tokens/s" and, with `stages`, where the time of its steps went.
void PrintTiming(const GenerateSummary& summary, bool stages) {
  const auto ms = [&](const char* name) { return static_cast<double>(TimingOf(summary.timing, name)) / 1000.0; };
  const double decode_ms = ms("total_us") - ms("first_token_us");
  const auto later_tokens = static_cast<double>(summary.usage.completion_tokens - 1);
  std::fprintf(stderr, "\nfirst token after %.1f ms, %lld tokens, %.1f tokens/s\n", ms("first_token_us"),
               static_cast<long long>(summary.usage.completion_tokens), decode_ms > 0 ? 1000.0 * later_tokens / decode_ms : 0.0);
  if (!stages) return;
  std::fprintf(stderr, "where the time went:");
  for (const char* stage : {"attention", "dispatch", "experts", "combine", "sampling"})
    std::fprintf(stderr, " %s %.1f ms", stage, ms((std::string(stage) + "_us").c_str()));
  std::fprintf(stderr, "\n");
}

}  // namespace

int RunGenerate(int argc, const char* const* argv) {
  GenerateOptions chosen;
  Options options({"atoll generate", "Answers one prompt.",
                   "  atoll generate --address 127.0.0.1:50051 --prompt 'Once upon a time'\n"
                   "  atoll generate --address 127.0.0.1:50051 --prompt-ids 0,3576,622 --temperature 0 --json\n",
                   1});
  chosen.Define(&options);
  if (const int code = options.Parse(argc, argv); code >= 0) return code;
  absl::StatusOr<GenerateCall> call = chosen.ToCall(options);
  if (!call.ok()) return absl::IsFailedPrecondition(call.status()) ? (std::cerr << "atoll generate: " << call.status().message() << "\n", 2) : ReportError(call.status());

  Answer answer(static_cast<size_t>(call->n.value_or(1)));
  const bool stream = !chosen.json && call->n.value_or(1) == 1;
  RouterClient router(chosen.address);
  const absl::StatusOr<GenerateSummary> summary = router.Generate(*call, [&](const ChoicePiece& piece) {
    answer.Add(piece);
    if (stream) std::cout << piece.text << std::flush;
    return std::cout.good();
  });
  if (!summary.ok()) return ReportError(summary.status());
  if (chosen.json) return PrintJson(answer, *summary, call->logprobs.has_value()), 0;
  if (stream) std::cout << std::endl;
  else PrintTexts(answer);
  if (call->logprobs) PrintLogprobs(answer);
  if (chosen.timing) PrintTiming(*summary, true);
  return 0;
}

}  // namespace atoll::cli
