#include "model/tokenizer/json/tokenizer_json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "model/tokenizer/json/byte_alphabet.h"
#include "model/tokenizer/json/components.h"

namespace atoll::model {
namespace {

using nlohmann::json;

constexpr size_t kFileBytesMax = size_t{32} << 20;
constexpr size_t kMergesMax = size_t{1} << 21;
constexpr size_t kAddedTokensMax = 4096;
constexpr size_t kAddedTokenBytesMax = 128;
constexpr size_t kShownBytesMax = 80;
constexpr int32_t kNoToken = -1;

absl::Status Refused(const std::string& reason) { return absl::InvalidArgumentError("tokenizer.json: " + reason); }

std::string Quoted(std::string_view text) { return "\"" + std::string(text.substr(0, kShownBytesMax)) + "\""; }

// Builds the definition step by step; a step that fails ends the reading. The views are of texts inside `root`.
class DefinitionReader {
 public:
  DefinitionReader(const json& root, const TokenizerLimits& limits)
      : root_(root), ids_max_(std::min<int64_t>(limits.ids_max, std::numeric_limits<int32_t>::max())) {}

  absl::StatusOr<TokenizerDefinition> Read() {
    ATOLL_RETURN_IF_ERROR(ReadVocabulary());
    ATOLL_RETURN_IF_ERROR(ReadAddedTokens());
    ATOLL_RETURN_IF_ERROR(CheckShadows());
    ATOLL_RETURN_IF_ERROR(FillTokenBytes());
    ATOLL_RETURN_IF_ERROR(FillByteIds());
    ATOLL_RETURN_IF_ERROR(ReadMerges());
    return std::move(definition_);
  }

 private:
  absl::StatusOr<int32_t> IdOf(const json& value, std::string_view token) const {
    const bool is_id = value.is_number_unsigned() && value.get<uint64_t>() < static_cast<uint64_t>(std::max<int64_t>(ids_max_, 0));
    if (is_id) return value.get<int32_t>();
    return Refused(absl::StrCat("token ", Quoted(token), ": expected an id from 0 to ", ids_max_ - 1, ", found ",
                                value.is_number() ? value.dump() : value.type_name()));
  }

  absl::Status ReadVocabulary() {
    const auto found = root_["model"].find("vocab");
    if (found == root_["model"].end() || !found->is_object()) return Refused("model.vocab: expected an object");
    for (const auto& [spelled, value] : found->get_ref<const json::object_t&>()) {
      if (spelled.empty()) return Refused("model.vocab holds an empty token");
      ATOLL_ASSIGN_OR_RETURN(const int32_t id, IdOf(value, spelled));
      if (!spelled_by_id_.emplace(id, spelled).second) return Refused(absl::StrCat("id ", id, " is given to two tokens"));
      id_by_spelled_.emplace(spelled, id);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<AddedToken> ReadAddedToken(const json& entry) const {
    if (!entry.is_object()) return Refused("added_tokens: expected objects");
    const auto content = entry.find("content");
    if (content == entry.end() || !content->is_string()) return Refused("added_tokens: expected a string \"content\"");
    AddedToken token{kNoToken, content->get<std::string>(), false, false};
    if (token.content.empty()) return Refused("added_tokens holds an empty token");
    if (token.content.size() > kAddedTokenBytesMax) {
      return Refused(absl::StrCat("added token ", Quoted(token.content), ": expected at most ", kAddedTokenBytesMax, " bytes"));
    }
    for (const auto& [key, value] : entry.items()) {
      if (key == "content" || key == "id") continue;
      const bool is_strip = key == "lstrip" || key == "rstrip" || key == "single_word";
      if (!is_strip && key != "special" && key != "normalized") {
        return Refused(absl::StrCat("added token ", Quoted(token.content), ": unknown field ", Quoted(key)));
      }
      if (!value.is_boolean() || (is_strip && value.get<bool>())) {
        return Refused(absl::StrCat("added token ", Quoted(token.content), ": ", key, ": expected ", is_strip ? "false" : "a flag"));
      }
      if (key == "special") token.special = value.get<bool>();
      if (key == "normalized") token.normalized = value.get<bool>();
    }
    ATOLL_ASSIGN_OR_RETURN(token.id, IdOf(entry.value("id", json()), token.content));
    return token;
  }

  absl::Status ReadAddedTokens() {
    const auto found = root_.find("added_tokens");
    if (found == root_.end()) return absl::OkStatus();
    if (!found->is_array() || found->size() > kAddedTokensMax) {
      return Refused(absl::StrCat("added_tokens: expected a list of at most ", kAddedTokensMax));
    }
    absl::flat_hash_set<int32_t> ids;
    for (const json& entry : *found) {
      ATOLL_ASSIGN_OR_RETURN(AddedToken token, ReadAddedToken(entry));
      if (!ids.insert(token.id).second) return Refused(absl::StrCat("two added tokens have id ", token.id));
      ATOLL_RETURN_IF_ERROR(CheckAgainstVocabulary(token));
      definition_.added_tokens.push_back(std::move(token));
    }
    std::sort(definition_.added_tokens.begin(), definition_.added_tokens.end(),
              [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
    return absl::OkStatus();
  }

  absl::Status CheckAgainstVocabulary(const AddedToken& token) const {
    const auto same_id = spelled_by_id_.find(token.id);
    const auto same_content = id_by_spelled_.find(token.content);
    const bool id_differs = same_content != id_by_spelled_.end() && same_content->second != token.id;
    const bool content_differs = same_id != spelled_by_id_.end() && same_id->second != token.content;
    if (!id_differs && !content_differs) return absl::OkStatus();
    return Refused(absl::StrCat("added token ", Quoted(token.content), " with id ", token.id,
                                " disagrees with the vocabulary, where that ", id_differs ? "text has another id" : "id has another text"));
  }

  // A longer added token that holds a shorter one would swallow it, and with it a control token (leftmost-longest wins).
  absl::Status CheckShadows() const {
    absl::flat_hash_map<std::string_view, int32_t> id_by_content;
    absl::flat_hash_set<size_t> lengths;
    for (const AddedToken& token : definition_.added_tokens) {
      if (!id_by_content.emplace(token.content, token.id).second) return Refused(absl::StrCat("two added tokens read ", Quoted(token.content)));
      lengths.insert(token.content.size());
    }
    for (const AddedToken& token : definition_.added_tokens) {
      for (size_t length : lengths) {
        for (size_t at = 0; length < token.content.size() && at + length <= token.content.size(); ++at) {
          const auto inner = id_by_content.find(std::string_view(token.content).substr(at, length));
          if (inner == id_by_content.end()) continue;
          return Refused(absl::StrCat("added token ", Quoted(token.content), " shadows added token ", Quoted(inner->first)));
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status FillTokenBytes() {
    for (const AddedToken& token : definition_.added_tokens) spelled_by_id_.emplace(token.id, token.content);
    std::vector<std::string>& tokens = definition_.token_bytes;
    tokens.resize(spelled_by_id_.size());
    for (const auto& [id, spelled] : spelled_by_id_) {
      // As many ids as tokens, none twice: one at or above the count means that one below it is missing.
      if (static_cast<size_t>(id) >= tokens.size()) {
        return Refused(absl::StrCat("the ids have gaps: ", tokens.size(), " tokens, but id ", id, " is given"));
      }
      if (std::optional<std::string> bytes = BytesOfSpelling(spelled)) tokens[static_cast<size_t>(id)] = *std::move(bytes);
    }
    for (const AddedToken& token : definition_.added_tokens) tokens[static_cast<size_t>(token.id)] = token.content;
    for (size_t id = 0; id < tokens.size(); ++id) {
      if (tokens[id].empty()) {
        return Refused(absl::StrCat("token ", id, " is neither spelled in the byte alphabet nor an added token"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status FillByteIds() {
    definition_.byte_ids.fill(kNoToken);
    for (const auto& [spelled, id] : id_by_spelled_) {
      const std::optional<std::string> bytes = BytesOfSpelling(spelled);
      if (bytes && bytes->size() == 1) definition_.byte_ids[static_cast<unsigned char>((*bytes)[0])] = id;
    }
    for (size_t byte = 0; byte < definition_.byte_ids.size(); ++byte) {
      if (definition_.byte_ids[byte] == kNoToken) return Refused(absl::StrCat("the vocabulary has no token for byte ", byte));
    }
    return absl::OkStatus();
  }

  // "left right", or ["left", "right"].
  static std::optional<std::pair<std::string_view, std::string_view>> SidesOf(const json& merge) {
    if (merge.is_array()) {
      if (merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) return std::nullopt;
      return std::pair<std::string_view, std::string_view>(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
    }
    if (!merge.is_string()) return std::nullopt;
    const std::string_view text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return std::nullopt;
    return std::pair(text.substr(0, space), text.substr(space + 1));
  }

  absl::StatusOr<int32_t> MergedId(std::string_view spelled, size_t rank) const {
    const auto found = id_by_spelled_.find(spelled);
    if (found != id_by_spelled_.end()) return found->second;
    return Refused(absl::StrCat("merge ", rank, " names ", Quoted(spelled), ", which is not in the vocabulary"));
  }

  absl::Status ReadMerges() {
    const auto found = root_["model"].find("merges");
    if (found == root_["model"].end() || !found->is_array()) return Refused("model.merges: expected a list");
    if (found->size() > kMergesMax) {
      return Refused(absl::StrCat("model.merges: expected at most ", kMergesMax, " merges, found ", found->size()));
    }
    absl::flat_hash_set<uint64_t> pairs;
    pairs.reserve(found->size());
    definition_.merges.reserve(found->size());
    std::string joined;
    for (size_t rank = 0; rank < found->size(); ++rank) {
      const auto sides = SidesOf((*found)[rank]);
      if (!sides) return Refused(absl::StrCat("merge ", rank, ": expected \"left right\" or [\"left\", \"right\"]"));
      joined.assign(sides->first).append(sides->second);
      Merge merge{};
      ATOLL_ASSIGN_OR_RETURN(merge.left, MergedId(sides->first, rank));
      ATOLL_ASSIGN_OR_RETURN(merge.right, MergedId(sides->second, rank));
      ATOLL_ASSIGN_OR_RETURN(merge.result, MergedId(joined, rank));
      if (!pairs.insert(uint64_t(merge.left) << 32 | uint64_t(merge.right)).second) return Refused(absl::StrCat("merge ", rank, " is listed twice"));
      definition_.merges.push_back(merge);
    }
    return absl::OkStatus();
  }

  const json& root_;
  int64_t ids_max_;
  absl::flat_hash_map<int32_t, std::string_view> spelled_by_id_;
  absl::flat_hash_map<std::string_view, int32_t> id_by_spelled_;
  TokenizerDefinition definition_;
};

}  // namespace

absl::StatusOr<TokenizerDefinition> ParseTokenizerJson(std::string_view text, const TokenizerLimits& limits) {
  if (text.size() > kFileBytesMax) return Refused(absl::StrCat("expected at most ", kFileBytesMax, " bytes, found ", text.size()));
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object()) return Refused("expected a JSON object in UTF-8");
  ATOLL_RETURN_IF_ERROR(CheckComponents(root));
  return DefinitionReader(root, limits).Read();
}

}  // namespace atoll::model
