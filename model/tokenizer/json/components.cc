#include "model/tokenizer/json/components.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace atoll::model {
namespace {

using nlohmann::json;

constexpr size_t kShownBytesMax = 120;

// The regular expressions of the three splits. The third has two spellings: literal CR and LF (DeepSeek's file), or escapes.
constexpr std::string_view kSplitNumbers = R"(\p{N}{1,3})";
constexpr std::string_view kSplitHanAndKana = "[一-龥\xE3\x81\x80-ゟ゠-ヿ]+";
constexpr std::string_view kSplitLiteral =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*"
    "|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kSplitEscaped =
    "[!\\\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

// Containers are never printed: one may be nested deeper than a recursive printer's stack.
std::string Shown(const json& value) {
  if (value.is_structured()) return absl::StrCat("an ", value.type_name(), " of ", value.size());
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= kShownBytesMax ? text : absl::StrCat(text.substr(0, kShownBytesMax), "…");
}

absl::Status Refused(std::string_view where, std::string_view expected, const json& found) {
  return absl::InvalidArgumentError(absl::StrCat("tokenizer.json: ", std::string(where), ": expected ", std::string(expected),
                                                 ", found ", Shown(found)));
}

absl::Status CheckKeys(std::string_view where, const json& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return Refused(where, "an object", object);
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("tokenizer.json: ", std::string(where), ": unknown field \"", item.key().substr(0, kShownBytesMax), "\""));
  }
  return absl::OkStatus();
}

const json& FieldOf(const json& object, const char* key) {
  static const json kAbsent = nullptr;
  const auto found = object.find(key);
  return found == object.end() ? kAbsent : *found;
}

bool IsBlank(const json& value) {
  return value.is_null() || value == false || value == "" || (value.is_array() && value.empty());
}

absl::Status CheckByteLevel(std::string_view where, const json& part) {
  ATOLL_RETURN_IF_ERROR(CheckKeys(where, part, {"type", "add_prefix_space", "trim_offsets", "use_regex"}));
  if (FieldOf(part, "type") != "ByteLevel") return Refused(where, "type ByteLevel", FieldOf(part, "type"));
  for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) {
    const json& value = FieldOf(part, key);
    if (!value.is_null() && !value.is_boolean()) return Refused(absl::StrCat(std::string(where), ".", key), "true or false", value);
  }
  return absl::OkStatus();
}

// A stage that works on the text itself: here, unlike in the decoder, both flags would change pieces.
absl::Status CheckByteLevelStage(const json& part) {
  ATOLL_RETURN_IF_ERROR(CheckByteLevel("pre_tokenizer[3]", part));
  if (FieldOf(part, "add_prefix_space") != false) return Refused("pre_tokenizer[3]", "add_prefix_space false", part);
  if (FieldOf(part, "use_regex") != false) return Refused("pre_tokenizer[3]", "use_regex false", part);
  return absl::OkStatus();
}

absl::Status CheckSplit(int stage, const json& part) {
  const std::string where = absl::StrCat("pre_tokenizer[", stage, "]");
  ATOLL_RETURN_IF_ERROR(CheckKeys(where, part, {"type", "pattern", "behavior", "invert"}));
  if (FieldOf(part, "type") != "Split") return Refused(where, "type Split", FieldOf(part, "type"));
  if (FieldOf(part, "behavior") != "Isolated") return Refused(where, "behavior Isolated", FieldOf(part, "behavior"));
  if (FieldOf(part, "invert") != false) return Refused(where, "invert false", FieldOf(part, "invert"));
  const json& pattern = FieldOf(part, "pattern");
  ATOLL_RETURN_IF_ERROR(CheckKeys(absl::StrCat(where, ".pattern"), pattern, {"Regex"}));
  const json& regex = FieldOf(pattern, "Regex");
  const bool known = stage == 0   ? regex == kSplitNumbers
                     : stage == 1 ? regex == kSplitHanAndKana
                                  : regex == kSplitLiteral || regex == kSplitEscaped;
  return known ? absl::OkStatus() : Refused(absl::StrCat(where, ".pattern.Regex"), "DeepSeek-V3's regular expression", regex);
}

absl::Status CheckPreTokenizer(const json& part) {
  ATOLL_RETURN_IF_ERROR(CheckKeys("pre_tokenizer", part, {"type", "pretokenizers"}));
  if (FieldOf(part, "type") != "Sequence") return Refused("pre_tokenizer", "type Sequence", FieldOf(part, "type"));
  const json& stages = FieldOf(part, "pretokenizers");
  if (!stages.is_array() || stages.size() != 4) return Refused("pre_tokenizer", "three Split stages and ByteLevel", stages);
  for (int stage = 0; stage < 3; ++stage) ATOLL_RETURN_IF_ERROR(CheckSplit(stage, stages[static_cast<size_t>(stage)]));
  return CheckByteLevelStage(stages[3]);
}

absl::Status CheckNormalizer(const json& part) {
  if (part.is_null()) return absl::OkStatus();
  ATOLL_RETURN_IF_ERROR(CheckKeys("normalizer", part, {"type", "normalizers"}));
  const json& steps = FieldOf(part, "normalizers");
  const bool is_identity = FieldOf(part, "type") == "Sequence" && steps.is_array() && steps.empty();
  return is_identity ? absl::OkStatus() : Refused("normalizer", "null or an empty Sequence", part);
}

absl::Status CheckModel(const json& part) {
  ATOLL_RETURN_IF_ERROR(CheckKeys("model", part,
                                  {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                                   "byte_fallback", "ignore_merges", "vocab", "merges"}));
  if (FieldOf(part, "type") != "BPE") return Refused("model", "type BPE", FieldOf(part, "type"));
  for (const char* key : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
                          "ignore_merges"}) {
    if (!IsBlank(FieldOf(part, key))) return Refused(absl::StrCat("model.", key), "null, false or empty", FieldOf(part, key));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckComponents(const json& root) {
  ATOLL_RETURN_IF_ERROR(CheckKeys("file", root,
                                  {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                                   "post_processor", "decoder", "model"}));
  for (const char* key : {"truncation", "padding"}) {
    if (!FieldOf(root, key).is_null()) return Refused(key, "null", FieldOf(root, key));
  }
  ATOLL_RETURN_IF_ERROR(CheckNormalizer(FieldOf(root, "normalizer")));
  ATOLL_RETURN_IF_ERROR(CheckPreTokenizer(FieldOf(root, "pre_tokenizer")));
  if (const json& part = FieldOf(root, "post_processor"); !part.is_null()) {
    ATOLL_RETURN_IF_ERROR(CheckByteLevel("post_processor", part));
  }
  ATOLL_RETURN_IF_ERROR(CheckByteLevel("decoder", FieldOf(root, "decoder")));
  return CheckModel(FieldOf(root, "model"));
}

}  // namespace atoll::model
