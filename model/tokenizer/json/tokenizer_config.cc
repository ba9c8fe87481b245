#include "model/tokenizer/json/tokenizer_config.h"

#include <nlohmann/json.hpp>

namespace atoll::model {
namespace {

using nlohmann::json;

constexpr size_t kConfigBytesMax = size_t{16} << 20;
constexpr size_t kTemplateBytesMax = size_t{1} << 20;

absl::Status Refused(const std::string& key, const std::string& expected, const json& found) {
  return absl::InvalidArgumentError(
      absl::StrCat("tokenizer_config.json: ", key, ": expected ", expected, ", found ", found.type_name()));
}

// Absent, null, a string, or an object whose "content" is one.
absl::StatusOr<std::optional<std::string>> TokenContent(const json& root, const char* key) {
  const auto found = root.find(key);
  if (found == root.end() || found->is_null()) return std::optional<std::string>();
  if (found->is_string()) return std::optional(found->get<std::string>());
  if (found->is_object()) {
    const auto content = found->find("content");
    if (content != found->end() && content->is_string()) return std::optional(content->get<std::string>());
  }
  return Refused(key, "a string, null or an object with a string \"content\"", *found);
}

absl::StatusOr<bool> Flag(const json& root, const char* key) {
  const auto found = root.find(key);
  if (found == root.end() || found->is_null()) return false;
  if (found->is_boolean()) return found->get<bool>();
  return Refused(key, "true, false or null", *found);
}

// A string, or a list of {"name", "template"} of which the one named "default" counts.
absl::StatusOr<std::optional<std::string>> ChatTemplate(const json& root) {
  const auto found = root.find("chat_template");
  if (found == root.end() || found->is_null()) return std::optional<std::string>();
  const json* text = found->is_string() ? &*found : nullptr;
  if (found->is_array()) {
    for (const json& entry : *found) {
      if (!entry.is_object() || !entry.contains("name") || !entry.contains("template")) continue;
      if (entry["name"] == "default") text = &entry["template"];
    }
  }
  if (text == nullptr || !text->is_string()) return Refused("chat_template", "a string or a list with one named default", *found);
  if (text->get_ref<const std::string&>().size() > kTemplateBytesMax) {
    return absl::InvalidArgumentError("tokenizer_config.json: chat_template: expected at most 1 MiB");
  }
  return std::optional(text->get<std::string>());
}

}  // namespace

absl::StatusOr<TokenizerConfig> ParseTokenizerConfig(std::string_view text) {
  if (text.size() > kConfigBytesMax) return absl::InvalidArgumentError("tokenizer_config.json: expected at most 16 MiB");
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object()) return absl::InvalidArgumentError("tokenizer_config.json: expected a JSON object, found none");
  TokenizerConfig config;
  ATOLL_ASSIGN_OR_RETURN(config.add_bos, Flag(root, "add_bos_token"));
  ATOLL_ASSIGN_OR_RETURN(const bool add_eos, Flag(root, "add_eos_token"));
  if (add_eos) return absl::InvalidArgumentError("tokenizer_config.json: add_eos_token: expected false, found true");
  ATOLL_ASSIGN_OR_RETURN(config.bos_token, TokenContent(root, "bos_token"));
  ATOLL_ASSIGN_OR_RETURN(config.eos_token, TokenContent(root, "eos_token"));
  ATOLL_ASSIGN_OR_RETURN(config.chat_template, ChatTemplate(root));
  if (config.add_bos && !config.bos_token) {
    return absl::InvalidArgumentError("tokenizer_config.json: add_bos_token is true, but there is no bos_token");
  }
  return config;
}

}  // namespace atoll::model
