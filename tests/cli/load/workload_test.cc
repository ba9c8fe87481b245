#include "cli/load/plan/workload.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "cli/load/plan/dataset.h"

namespace atoll::load {
namespace {

absl::StatusOr<std::vector<Prompt>> Lines(const std::string& text, DatasetLimits limits = {}) {
  std::istringstream in(text);
  return ReadJsonLines(in, limits);
}

absl::StatusOr<std::vector<Prompt>> ShareGpt(const std::string& text, DatasetLimits limits = {}) {
  std::istringstream in(text);
  return ReadShareGpt(in, limits);
}

std::string TextOf(const Prompt& prompt) { return std::get<cli::TextInput>(prompt.input).text; }

TEST(Dataset, BuiltinTextsAreTexts) {
  const auto prompts = BuiltinTexts();
  EXPECT_GE(prompts.size(), 20u);
  for (const Prompt& prompt : prompts) EXPECT_FALSE(TextOf(prompt).empty());
}

TEST(Dataset, JsonLinesInAllForms) {
  const auto prompts = Lines("{\"prompt\": \"a\\u00e9\", \"max_tokens\": 7, \"other\": [1]}\n\n"
                             "{\"token_ids\": [1, 2], \"output_length\": 3, \"timestamp\": 12.5}\r\n"
                             "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"prompt\": null}\n"
                             "{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 6, \"hash_ids\": [1]}");
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  ASSERT_EQ(prompts->size(), 4u);
  EXPECT_EQ(TextOf((*prompts)[0]), "aé");
  EXPECT_EQ((*prompts)[0].output_tokens, 7);
  EXPECT_EQ(std::get<cli::IdsInput>((*prompts)[1].input).ids, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ((*prompts)[1].at_ns, 12500000);
  EXPECT_EQ(std::get<cli::ChatInput>((*prompts)[2].input).turns[0].content, "hi");
  EXPECT_EQ((*prompts)[3].prompt_tokens, 5);
  EXPECT_EQ((*prompts)[3].at_ns, 0);
}

TEST(Dataset, RefusesBadLinesByNumber) {
  for (const char* line : {"[]", "x", "{}", "{\"prompt\": 3}", "{\"token_ids\": []}", "{\"token_ids\": [-1]}", "{\"token_ids\": [99999999999]}", "{\"token_ids\": [1.5]}",
                           "{\"messages\": [{\"role\": \"user\"}]}", "{\"messages\": [3]}", "{\"prompt\": \"a\", \"max_tokens\": 0}", "{\"prompt\": \"a\", \"max_tokens\": \"5\"}",
                           "{\"input_length\": 18446744073709551615}", "{\"prompt\": \"a\", \"timestamp\": -1}"}) {
    const auto prompts = Lines(std::string("{\"prompt\": \"a\"}\n") + line);
    ASSERT_FALSE(prompts.ok()) << line;
    EXPECT_NE(std::string(prompts.status().message()).find("line 2"), std::string::npos) << prompts.status();
  }
}

TEST(Dataset, LimitsHold) {
  EXPECT_FALSE(Lines("{\"prompt\": \"" + std::string(100, 'a') + "\"}", {.line_bytes = 50}).ok());
  EXPECT_EQ(Lines("{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\nbroken", {.entries = 2})->size(), 2u);
  EXPECT_FALSE(ShareGpt("[" + std::string(100, ' ') + "]", {.array_bytes = 50}).ok());
}

TEST(Dataset, ShareGptTakesTheFirstExchange) {
  const auto prompts = ShareGpt(R"([{"id": "x", "conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "answer"}]},
    {"conversations": [{"from": "human", "value": "alone"}]}, {"conversations": [{"from": "gpt", "value": "no"}, {"from": "human", "value": "q"}]}, 5,
    {"conversations": [{"from": "user", "value": "u"}, {"from": "assistant", "value": "v"}]}])");
  ASSERT_TRUE(prompts.ok());
  ASSERT_EQ(prompts->size(), 2u);
  EXPECT_EQ(TextOf((*prompts)[0]), "q");
  EXPECT_EQ((*prompts)[0].answer, "answer");
  EXPECT_EQ(TextOf((*prompts)[1]), "u");
  EXPECT_FALSE(ShareGpt("{}").ok());
}

TEST(Dataset, MissingFileIsNamed) { EXPECT_TRUE(absl::IsNotFound(ReadDatasetFile("/nowhere/x.jsonl", {}).status())); }

bool Same(const LoadCall& a, const LoadCall& b) {
  const auto* x = std::get_if<cli::TextInput>(&a.input);
  const auto* y = std::get_if<cli::TextInput>(&b.input);
  return a.request_id == b.request_id && a.seed == b.seed && a.max_tokens == b.max_tokens && a.cancel_after_tokens == b.cancel_after_tokens && x && y && x->text == y->text;
}

TEST(Workload, ARequestDependsOnSeedAndIndexAlone) {
  const WorkloadOptions options{.output_tokens = LengthLaw::Parse("1-1000", "").value(), .cancel_share = 0.5, .seed = 9, .run_id = "r"};
  const Workload a(options, BuiltinTexts(), {}), b(options, BuiltinTexts(), {});
  const LoadCall late = b.Call(77);
  for (uint64_t i = 0; i < 77; ++i) (void)a.Call(i);
  EXPECT_TRUE(Same(a.Call(77), late));
  EXPECT_FALSE(Same(a.Call(78), late));
  EXPECT_EQ(late.request_id, "r-77");
}

TEST(Workload, SeedsDiffer) {
  const Workload workload({}, BuiltinTexts(), {});
  std::set<uint64_t> seeds;
  for (uint64_t i = 0; i < 1000; ++i) seeds.insert(workload.Call(i).seed);
  EXPECT_EQ(seeds.size(), 1000u);
}

TEST(Workload, InOrderRepeats) {
  const Workload workload({.shuffle = false}, Lines("{\"prompt\": \"a\", \"max_tokens\": 3}\n{\"prompt\": \"b\"}").value(), {});
  EXPECT_EQ(std::get<cli::TextInput>(workload.Call(2).input).text, "a");
  EXPECT_EQ(workload.Call(2).max_tokens, 3);
  EXPECT_EQ(workload.Call(3).max_tokens, 64);
}

TEST(Workload, PromptLengthsAreExactAndCutFromTheCorpus) {
  const std::vector<int32_t> corpus{10, 11, 12, 13, 14};
  const Workload workload({.prompt_tokens = LengthLaw::Parse("3-12", "").value()}, BuiltinTexts(), corpus);
  std::set<size_t> lengths;
  for (uint64_t i = 0; i < 500; ++i) {
    const auto ids = std::get<cli::IdsInput>(workload.Call(i).input).ids;
    lengths.insert(ids.size());
    for (size_t k = 1; k < ids.size(); ++k) EXPECT_EQ(ids[k], ids[k - 1] == 14 ? 10 : ids[k - 1] + 1);
  }
  EXPECT_EQ(*lengths.begin(), 3u);
  EXPECT_EQ(*lengths.rbegin(), 12u);
}

TEST(Workload, EntriesWithoutInputGetIdsOfTheirLength) {
  auto prompts = Lines("{\"input_length\": 5}").value();
  EXPECT_TRUE(Workload::NeedsCorpus({}, prompts));
  const Workload workload({}, std::move(prompts), {1, 2});
  EXPECT_EQ(std::get<cli::IdsInput>(workload.Call(0).input).ids.size(), 5u);
  EXPECT_FALSE(Workload::NeedsCorpus({}, BuiltinTexts()));
}

TEST(Workload, CancelShare) {
  const Workload never({}, BuiltinTexts(), {}), always({.cancel_share = 1}, BuiltinTexts(), {}), some({.cancel_share = 0.25}, BuiltinTexts(), {});
  int count = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    EXPECT_EQ(never.Call(i).cancel_after_tokens, 0);
    const LoadCall call = always.Call(i);
    EXPECT_TRUE(call.cancel_after_tokens >= 1 && call.cancel_after_tokens <= call.max_tokens);
    count += some.Call(i).cancel_after_tokens > 0;
  }
  EXPECT_NEAR(count, 1000, 100);
}

TEST(Workload, ChatWrapsTexts) {
  const Workload workload({.as_chat = true}, Lines("{\"prompt\": \"a\"}").value(), {});
  EXPECT_EQ(std::get<cli::ChatInput>(workload.Call(0).input).turns[0].role, "user");
}

}  // namespace
}  // namespace atoll::load
