// Rows B47 to B49: what a tokenizer.json must not be. Each case changes one thing of the bundled file.

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "model/tokenizer/json/tokenizer_json.h"
#include "tests/tokenizer/test_tokenizers.h"

namespace atoll::model {
namespace {

using nlohmann::json;

const std::string& TalesText() {
  static const std::string text = ReadFile(TalesDirectory() / "tokenizer.json");
  return text;
}

json Tales4096() { return json::parse(TalesText(), nullptr, false); }

absl::Status StatusOf(const std::string& text, const TokenizerLimits& limits = {}) { return ParseTokenizerJson(text, limits).status(); }

struct Change {
  const char* name;
  std::function<void(json&)> apply;
  const char* in_message;
};

class HostileTokenizer : public testing::TestWithParam<Change> {};

TEST_P(HostileTokenizer, IsRefusedByName) {
  json changed = Tales4096();
  GetParam().apply(changed);
  const absl::Status status = StatusOf(changed.dump());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find(GetParam().in_message), absl::string_view::npos) << status;
}

json& Stage(json& root, int stage) { return root["pre_tokenizer"]["pretokenizers"][static_cast<size_t>(stage)]; }

INSTANTIATE_TEST_SUITE_P(
    B47_Components, HostileTokenizer,
    testing::Values(
        Change{"evil_regex", [](json& r) { Stage(r, 0)["pattern"]["Regex"] = "(a+)+$"; }, "pre_tokenizer[0].pattern.Regex"},
        Change{"other_regex", [](json& r) { Stage(r, 2)["pattern"]["Regex"] = "\\s+"; }, "pre_tokenizer[2].pattern.Regex"},
        Change{"string_pattern", [](json& r) { Stage(r, 1)["pattern"] = {{"String", "x"}}; }, "pre_tokenizer[1].pattern"},
        Change{"fewer_stages", [](json& r) { r["pre_tokenizer"]["pretokenizers"].erase(1); }, "pre_tokenizer"},
        Change{"swapped_stages", [](json& r) { std::swap(Stage(r, 0), Stage(r, 1)); }, "pre_tokenizer[0]"},
        Change{"removed_behavior", [](json& r) { Stage(r, 0)["behavior"] = "Removed"; }, "behavior"},
        Change{"inverted", [](json& r) { Stage(r, 0)["invert"] = true; }, "invert"},
        Change{"byte_level_regex", [](json& r) { Stage(r, 3)["use_regex"] = true; }, "use_regex"},
        Change{"byte_level_prefix", [](json& r) { Stage(r, 3)["add_prefix_space"] = true; }, "add_prefix_space"},
        Change{"no_pre_tokenizer", [](json& r) { r["pre_tokenizer"] = nullptr; }, "pre_tokenizer"},
        Change{"nfc", [](json& r) { r["normalizer"] = {{"type", "NFC"}}; }, "normalizer"},
        Change{"replace_normalizer", [](json& r) { r["normalizer"]["normalizers"].push_back({{"type", "Replace"}}); }, "normalizer"},
        Change{"no_decoder", [](json& r) { r.erase("decoder"); }, "decoder"},
        Change{"decoder_of_text", [](json& r) { r["decoder"] = "ByteLevel"; }, "decoder"},
        Change{"decoder_of_type", [](json& r) { r["decoder"]["type"] = 3; }, "decoder"},
        Change{"decoder_flag", [](json& r) { r["decoder"]["use_regex"] = "yes"; }, "decoder.use_regex"},
        Change{"decoder_other", [](json& r) { r["decoder"] = {{"type", "WordPiece"}}; }, "decoder"},
        Change{"post_processor", [](json& r) { r["post_processor"] = {{"type", "TemplateProcessing"}}; }, "post_processor"},
        Change{"truncation", [](json& r) { r["truncation"] = {{"max_length", 3}}; }, "truncation"},
        Change{"padding", [](json& r) { r["padding"] = true; }, "padding"},
        Change{"unigram", [](json& r) { r["model"]["type"] = "Unigram"; }, "BPE"},
        Change{"dropout", [](json& r) { r["model"]["dropout"] = 0.1; }, "dropout"},
        Change{"byte_fallback", [](json& r) { r["model"]["byte_fallback"] = true; }, "byte_fallback"},
        Change{"ignore_merges", [](json& r) { r["model"]["ignore_merges"] = true; }, "ignore_merges"},
        Change{"unknown_model_field", [](json& r) { r["model"]["script"] = "x"; }, "script"},
        Change{"unknown_field", [](json& r) { r["plugin"] = "x"; }, "plugin"},
        Change{"no_model", [](json& r) { r.erase("model"); }, "model"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    B48_Vocabulary, HostileTokenizer,
    testing::Values(
        Change{"duplicate_id", [](json& r) { r["model"]["vocab"]["the"] = 300; }, "two tokens"},
        Change{"gap", [](json& r) { r["model"]["vocab"]["zzzzzz"] = 5000; }, "gaps"},
        Change{"negative_id", [](json& r) { r["model"]["vocab"]["zzzzzz"] = -1; }, "zzzzzz"},
        Change{"huge_id", [](json& r) { r["model"]["vocab"]["zzzzzz"] = std::numeric_limits<uint64_t>::max(); }, "zzzzzz"},
        Change{"fractional_id", [](json& r) { r["model"]["vocab"]["zzzzzz"] = 4096.5; }, "zzzzzz"},
        Change{"text_id", [](json& r) { r["model"]["vocab"]["zzzzzz"] = "4096"; }, "zzzzzz"},
        Change{"empty_token", [](json& r) { r["model"]["vocab"][""] = 4096; }, "empty token"},
        Change{"vocab_list", [](json& r) { r["model"]["vocab"] = json::array({"a"}); }, "model.vocab"},
        Change{"no_vocab", [](json& r) { r["model"].erase("vocab"); }, "model.vocab"},
        Change{"no_bytes", [](json& r) { r["model"]["vocab"] = {{"a", 0}}; r["added_tokens"] = json::array(); }, "no token for byte"},
        Change{"outside_alphabet", [](json& r) { r["model"]["vocab"]["a b"] = 4096; }, "byte alphabet"},
        Change{"merge_of_unknown", [](json& r) { r["model"]["merges"].push_back("qqqqq z"); }, "qqqqq"},
        Change{"merge_to_unknown", [](json& r) { r["model"]["merges"].push_back("the the"); }, "thethe"},
        Change{"merge_of_nothing", [](json& r) { r["model"]["merges"].push_back("a "); }, "not in the vocabulary"},
        Change{"merge_of_three", [](json& r) { r["model"]["merges"].push_back("a b c"); }, "merge 3833"},
        Change{"merge_number", [](json& r) { r["model"]["merges"].push_back(5); }, "merge 3833"},
        Change{"merge_pair_of_one", [](json& r) { r["model"]["merges"].push_back({"a"}); }, "merge 3833"},
        Change{"merge_again", [](json& r) { r["model"]["merges"].push_back(r["model"]["merges"][0]); }, "twice"},
        Change{"no_merges", [](json& r) { r["model"].erase("merges"); }, "model.merges"}),
    [](const auto& test) { return test.param.name; });

json Added(int id, const std::string& content) { return {{"id", id}, {"content", content}, {"special", false}}; }

INSTANTIATE_TEST_SUITE_P(
    B49_AddedTokens, HostileTokenizer,
    testing::Values(
        Change{"same_content", [](json& r) { r["added_tokens"].push_back(Added(4096, "<think>")); }, "<think>"},
        Change{"same_id", [](json& r) { r["added_tokens"].push_back(Added(4093, "<other>")); }, "4093"},
        Change{"holds_a_control_token", [](json& r) { r["added_tokens"].push_back(Added(4096, "a<｜User｜>")); }, "shadows"},
        Change{"extends_a_control_token", [](json& r) { r["added_tokens"].push_back(Added(4096, "<｜User｜>b")); }, "shadows"},
        Change{"other_id_than_vocabulary", [](json& r) { r["added_tokens"].push_back(Added(4096, "the")); }, "disagrees"},
        Change{"other_text_than_vocabulary", [](json& r) { r["added_tokens"].push_back(Added(300, "<x>")); }, "disagrees"},
        Change{"empty", [](json& r) { r["added_tokens"].push_back(Added(4096, "")); }, "empty token"},
        Change{"long", [](json& r) { r["added_tokens"].push_back(Added(4096, std::string(129, 'x'))); }, "128"},
        Change{"strips", [](json& r) { r["added_tokens"][5]["lstrip"] = true; }, "lstrip"},
        Change{"single_word", [](json& r) { r["added_tokens"][5]["single_word"] = true; }, "single_word"},
        Change{"special_of_text", [](json& r) { r["added_tokens"][5]["special"] = "yes"; }, "special"},
        Change{"unknown_field", [](json& r) { r["added_tokens"][5]["hook"] = 1; }, "hook"},
        Change{"no_id", [](json& r) { r["added_tokens"][5].erase("id"); }, "<think>"},
        Change{"no_content", [](json& r) { r["added_tokens"][5].erase("content"); }, "content"},
        Change{"not_objects", [](json& r) { r["added_tokens"] = {1, 2}; }, "added_tokens"},
        Change{"too_many", [](json& r) { r["added_tokens"] = json(std::vector<int>(4097)); }, "4096"}),
    [](const auto& test) { return test.param.name; });

TEST(TokenizerJson, TheFileItselfAndItsVariantsAreAccepted) {
  EXPECT_TRUE(StatusOf(TalesText()).ok());
  json changed = Tales4096();
  changed["normalizer"] = nullptr;
  changed["post_processor"] = nullptr;
  for (json& merge : changed["model"]["merges"]) {
    const std::string text = merge.get<std::string>();
    merge = {text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)};
  }
  std::string regex = Stage(changed, 2)["pattern"]["Regex"];
  for (const auto& [escape, literal] : {std::pair("\\r", "\r"), std::pair("\\n", "\n"), std::pair("\\\"", "\"")}) {
    for (size_t at = regex.find(escape); at != std::string::npos; at = regex.find(escape)) regex.replace(at, 2, literal);
  }
  Stage(changed, 2)["pattern"]["Regex"] = regex;
  const auto definition = ParseTokenizerJson(changed.dump(), {});
  ASSERT_TRUE(definition.ok()) << definition.status();
  EXPECT_EQ(definition->merges.size(), 3833u);
}

TEST(TokenizerJson, B48_IdsBeyondTheModelsVocabularyAreRefused) {
  EXPECT_TRUE(StatusOf(TalesText(), {.ids_max = 4096}).ok());
  for (const int64_t ids_max : {int64_t{4095}, int64_t{1}, int64_t{0}, int64_t{-1}}) {
    EXPECT_EQ(StatusOf(TalesText(), {.ids_max = ids_max}).code(), absl::StatusCode::kInvalidArgument) << ids_max;
  }
}

TEST(TokenizerJson, B48_TooManyMergesAreRefused) {
  std::string text = Tales4096().dump();
  const size_t at = text.find("\"merges\":[") + 10;
  std::string merges;
  for (int i = 0; i < (1 << 21); ++i) merges += "\"a b\",";
  EXPECT_NE(StatusOf(text.substr(0, at) + merges + text.substr(at)).message().find("merges"), absl::string_view::npos);
  while (merges.size() < 60'000'000) merges += merges;
  EXPECT_EQ(StatusOf(text.substr(0, at) + merges + text.substr(at)).code(), absl::StatusCode::kInvalidArgument);
}

TEST(TokenizerJson, B47_DeepNestingIsRefused) {
  std::string text = TalesText();
  const std::string empty = "\"normalizers\": []";
  const size_t at = text.find(empty);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, empty.size(), "\"normalizers\": " + std::string(500'000, '[') + std::string(500'000, ']'));
  EXPECT_NE(StatusOf(text).message().find("normalizer"), absl::string_view::npos);
}

TEST(TokenizerJson, WhatIsNoJsonIsRefused) {
  for (const std::string& text : {std::string(), std::string("null"), std::string("[]"), std::string("{}"), std::string("\xFF\xFE"),
                                  std::string(2'000'000, '['), "{\"model\":\"\xC0\x80\"}" + std::string(1, '\0')}) {
    EXPECT_EQ(StatusOf(text).code(), absl::StatusCode::kInvalidArgument);
  }
  for (size_t length = 0; length < TalesText().size(); length += 4999) {
    EXPECT_EQ(StatusOf(TalesText().substr(0, length)).code(), absl::StatusCode::kInvalidArgument) << length;
  }
}

}  // namespace
}  // namespace atoll::model
