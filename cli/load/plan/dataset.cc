#include "cli/load/plan/dataset.h"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/load/plan/duration.h"
#include "cli/load/plan/lengths.h"

namespace atoll::load {
namespace {

using Json = nlohmann::json;

absl::Status Bad(const std::string& expected) { return absl::InvalidArgumentError("expected " + expected); }

const Json* Member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

absl::StatusOr<std::optional<int64_t>> Length(const Json& object, const char* key) {
  const Json* value = Member(object, key);
  if (!value) return std::nullopt;
  if (!value->is_number_integer() || *value < 1 || *value > LengthLaw::kMax)
    return Bad(absl::StrCat("\"", key, "\" to be a whole number of [1, ", LengthLaw::kMax, "]"));
  return value->get<int64_t>();
}

absl::StatusOr<cli::ChatInput> Messages(const Json& list) {
  cli::ChatInput chat;
  if (!list.is_array() || list.empty()) return Bad("\"messages\" to be a list of {\"role\", \"content\"}");
  for (const Json& message : list) {
    const Json* role = message.is_object() ? Member(message, "role") : nullptr;
    const Json* content = message.is_object() ? Member(message, "content") : nullptr;
    if (!role || !content || !role->is_string() || !content->is_string()) return Bad("each of \"messages\" to be {\"role\": text, \"content\": text}");
    chat.turns.push_back({role->get<std::string>(), content->get<std::string>()});
  }
  return chat;
}

absl::StatusOr<cli::IdsInput> TokenIds(const Json& list) {
  cli::IdsInput ids;
  if (!list.is_array() || list.empty()) return Bad("\"token_ids\" to be a list of whole numbers");
  for (const Json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<int32_t>::max()) return Bad("\"token_ids\" to be a list of whole numbers");
    ids.ids.push_back(id.get<int32_t>());
  }
  return ids;
}

absl::Status SetInput(const Json& object, Prompt* prompt) {
  if (const Json* text = Member(object, "prompt")) {
    if (!text->is_string()) return Bad("\"prompt\" to be text");
    prompt->input = cli::TextInput{text->get<std::string>()};
  } else if (const Json* ids = Member(object, "token_ids")) {
    ATOLL_ASSIGN_OR_RETURN(prompt->input, TokenIds(*ids));
  } else if (const Json* messages = Member(object, "messages")) {
    ATOLL_ASSIGN_OR_RETURN(prompt->input, Messages(*messages));
  } else if (!prompt->prompt_tokens) {
    return Bad("one of \"prompt\", \"token_ids\", \"messages\" and \"input_length\"");
  }
  return absl::OkStatus();
}

absl::StatusOr<Prompt> LinePrompt(const std::string& line) {
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) return Bad("one JSON object");
  Prompt prompt;
  ATOLL_ASSIGN_OR_RETURN(prompt.prompt_tokens, Length(object, "input_length"));
  ATOLL_ASSIGN_OR_RETURN(prompt.output_tokens, Length(object, "output_length"));
  if (!prompt.output_tokens) {
    ATOLL_ASSIGN_OR_RETURN(prompt.output_tokens, Length(object, "max_tokens"));
  }
  if (const Json* at = Member(object, "timestamp")) {
    if (!at->is_number() || !(at->get<double>() >= 0 && at->get<double>() <= 1e12)) return Bad("\"timestamp\" to be milliseconds of [0, 1e12]");
    prompt.at_ns = static_cast<int64_t>(at->get<double>() * static_cast<double>(kNsPerMs));
  }
  ATOLL_RETURN_IF_ERROR(SetInput(object, &prompt));
  return prompt;
}

// std::getline that gives up on a line over `bytes_max`.
bool ReadLine(std::istream& in, int64_t bytes_max, std::string* line) {
  line->clear();
  for (int c = in.get(); c != std::istream::traits_type::eof(); c = in.get()) {
    if (c == '\n') return true;
    line->push_back(static_cast<char>(c));
    if (static_cast<int64_t>(line->size()) > bytes_max) return true;
  }
  return !line->empty();
}

std::string TurnText(const Json& turn, const char* from_one, const char* from_other) {
  const Json* from = turn.is_object() ? Member(turn, "from") : nullptr;
  const Json* value = turn.is_object() ? Member(turn, "value") : nullptr;
  if (!from || !value || !from->is_string() || !value->is_string()) return "";
  return *from == from_one || *from == from_other ? value->get<std::string>() : "";
}

std::optional<Prompt> ConversationPrompt(const Json& entry) {
  const Json* turns = entry.is_object() ? Member(entry, "conversations") : nullptr;
  if (!turns || !turns->is_array()) return std::nullopt;
  for (size_t i = 0; i + 1 < turns->size(); ++i) {
    std::string asked = TurnText((*turns)[i], "human", "user"), answered = TurnText((*turns)[i + 1], "gpt", "assistant");
    if (asked.empty() || answered.empty()) continue;
    Prompt prompt;
    prompt.input = cli::TextInput{std::move(asked)};
    prompt.answer = std::move(answered);
    return prompt;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::vector<Prompt>> ReadJsonLines(std::istream& in, const DatasetLimits& limits) {
  std::vector<Prompt> prompts;
  std::string line;
  for (int64_t number = 1; static_cast<int64_t>(prompts.size()) < limits.entries && ReadLine(in, limits.line_bytes, &line); ++number) {
    if (static_cast<int64_t>(line.size()) > limits.line_bytes)
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": expected at most ", limits.line_bytes, " bytes, found more"));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    absl::StatusOr<Prompt> prompt = LinePrompt(line);
    if (!prompt.ok())
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", prompt.status().message(), ", found ", line.substr(0, 80)));
    prompts.push_back(*std::move(prompt));
  }
  return prompts;
}

absl::StatusOr<std::vector<Prompt>> ReadShareGpt(std::istream& in, const DatasetLimits& limits) {
  std::string text(static_cast<size_t>(64) << 10, '\0'), whole;
  while (in.read(text.data(), static_cast<std::streamsize>(text.size())) || in.gcount() > 0) {
    whole.append(text, 0, static_cast<size_t>(in.gcount()));
    if (static_cast<int64_t>(whole.size()) > limits.array_bytes)
      return absl::InvalidArgumentError(absl::StrCat("expected at most ", limits.array_bytes, " bytes, found more; cut the file, or turn it into JSON lines"));
  }
  const Json array = Json::parse(whole, nullptr, false);
  if (!array.is_array()) return absl::InvalidArgumentError("expected one JSON array of conversations");
  std::vector<Prompt> prompts;
  for (const Json& entry : array) {
    if (static_cast<int64_t>(prompts.size()) >= limits.entries) break;
    if (std::optional<Prompt> prompt = ConversationPrompt(entry)) prompts.push_back(*std::move(prompt));
  }
  return prompts;
}

absl::StatusOr<std::vector<Prompt>> ReadDatasetFile(const std::string& path, const DatasetLimits& limits) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("--dataset: cannot open ", path));
  const bool array = (in >> std::ws).peek() == '[';
  absl::StatusOr<std::vector<Prompt>> prompts = array ? ReadShareGpt(in, limits) : ReadJsonLines(in, limits);
  if (!prompts.ok()) return absl::InvalidArgumentError(absl::StrCat("--dataset: ", path, ": ", prompts.status().message()));
  if (prompts->empty()) return absl::InvalidArgumentError(absl::StrCat("--dataset: ", path, ": expected at least one usable entry, found none"));
  return prompts;
}

}  // namespace atoll::load
