#include "cli/load/http/openai_messages.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace atoll::load {
namespace {

using Json = nlohmann::json;

constexpr size_t kMessageBytesMax = 500;

const Json* Member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::optional<int64_t> Count(const Json& object, const char* key) {
  const Json* value = Member(object, key);
  if (!value || !value->is_number_integer() || *value < 0 || *value > std::numeric_limits<int32_t>::max()) return std::nullopt;
  return value->get<int64_t>();
}

std::string Text(const Json& object, const char* key) {
  const Json* value = Member(object, key);
  if (!value) return "";
  return value->is_string() ? value->get<std::string>().substr(0, kMessageBytesMax) : value->is_number() ? value->dump() : "";
}

// Whether any choice of a chunk brings text.
bool HasText(const Json& chunk) {
  const Json* choices = Member(chunk, "choices");
  if (!choices || !choices->is_array()) return false;
  return std::any_of(choices->begin(), choices->end(), [](const Json& choice) {
    if (!Text(choice, "text").empty()) return true;
    const Json* delta = Member(choice, "delta");
    return delta && (!Text(*delta, "content").empty() || !Text(*delta, "reasoning_content").empty());
  });
}

}  // namespace

HttpRequestText StreamRequest(const LoadCall& call, const std::string& model) {
  Json body{{"model", model}, {"max_tokens", call.max_tokens}, {"temperature", call.temperature}, {"seed", call.seed}, {"ignore_eos", call.ignore_eos},
            {"stream", true}, {"stream_options", {{"include_usage", true}, {"continuous_usage_stats", true}}}};
  std::string path = "/v1/completions";
  if (const auto* text = std::get_if<cli::TextInput>(&call.input)) body["prompt"] = text->text;
  if (const auto* ids = std::get_if<cli::IdsInput>(&call.input)) body["prompt"] = ids->ids;
  if (const auto* chat = std::get_if<cli::ChatInput>(&call.input)) {
    path = "/v1/chat/completions";
    for (const cli::ChatTurn& turn : chat->turns) body["messages"].push_back({{"role", turn.role}, {"content", turn.content}});
  }
  return {path, body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

std::string TokenizeBody(const std::string& text) {
  return Json{{"prompt", text}, {"add_special_tokens", false}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

int64_t StreamAnswer::OnEvent(std::string_view data) {
  if (data == "[DONE]") return done_ = true, 0;
  const Json chunk = Json::parse(data, nullptr, false);
  if (const Json* error = Member(chunk, "error")) {
    error_ = "the stream ended with an error: " + Text(*error, "message");
    error_code_ = Text(*error, "code");
    return 0;
  }
  if (!chunk.is_object()) return error_ = "expected a JSON object as an event, found something else", 0;
  std::optional<int64_t> counted;
  if (const Json* usage = Member(chunk, "usage")) {
    counted = Count(*usage, "completion_tokens");
    prompt_tokens_ = Count(*usage, "prompt_tokens").value_or(prompt_tokens_);
  }
  return TokensOf(HasText(chunk), counted);
}

// By the server's count where it gives one with each chunk, else a message is taken for a token; a count that comes at the
// end alone then corrects the sum.
int64_t StreamAnswer::TokensOf(bool has_text, std::optional<int64_t> counted) {
  int64_t tokens = has_text && !has_usage_ && !counted ? 1 : 0;
  if (counted) {
    has_usage_ = true;
    completion_tokens_ = *counted;
    tokens = std::max<int64_t>(0, completion_tokens_ - tokens_);
  }
  tokens_ += tokens;
  return tokens;
}

CallEnd StreamAnswer::End() const {
  CallEnd end{.ok = done_ && error_.empty(), .code = "HTTP 200"};
  end.prompt_tokens = prompt_tokens_;
  end.completion_tokens = has_usage_ ? completion_tokens_ : tokens_;
  end.reason = error_code_;
  if (!end.ok) end.message = error_.empty() ? "the stream ended before [DONE]" : error_;
  return end;
}

CallEnd RefusedEnd(unsigned status, std::string_view body) {
  CallEnd end{.ok = false, .code = absl::StrCat("HTTP ", status), .refusal = status == 429 || status == 503};
  const Json json = Json::parse(body, nullptr, false);
  if (const Json* error = Member(json, "error")) {
    end.reason = Text(*error, "code").empty() ? Text(*error, "type") : Text(*error, "code");
    end.message = Text(*error, "message");
  }
  return end;
}

absl::StatusOr<std::vector<int32_t>> TokensOf(std::string_view body) {
  const Json json = Json::parse(body, nullptr, false);
  const Json* list = Member(json, "tokens");
  if (!list || !list->is_array()) return absl::InternalError("/tokenize: expected {\"tokens\": [...]} in the answer");
  std::vector<int32_t> tokens;
  for (const Json& id : *list) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<int32_t>::max()) return absl::InternalError("/tokenize: expected whole numbers as tokens");
    tokens.push_back(id.get<int32_t>());
  }
  return tokens;
}

absl::StatusOr<std::string> ModelOf(std::string_view body) {
  const Json json = Json::parse(body, nullptr, false);
  const Json* list = Member(json, "data");
  if (!list || !list->is_array() || list->empty() || Text((*list)[0], "id").empty()) return absl::InternalError("/v1/models: expected {\"data\": [{\"id\": ...}]} in the answer");
  return Text((*list)[0], "id");
}

}  // namespace atoll::load
