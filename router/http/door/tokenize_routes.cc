#include "router/http/door/tokenize_routes.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "router/http/api/api_call.h"
#include "router/http/api/api_error.h"
#include "router/http/json/json_fields.h"
#include "router/http/json/json_write.h"

namespace atoll::router::http {
namespace {

absl::Status CheckModel(JsonFields& fields, const FrontDoor& front_door) {
  const std::string name = fields.Text("model").value_or("");
  if (name.empty() || name == front_door.model().name()) return absl::OkStatus();
  return WithErrorInfo(absl::NotFoundError(absl::StrCat("model: no model of that name is served here; this router serves \"", front_door.model().name(), "\"")),
                       {.reason = "MODEL_NOT_FOUND", .metadata = {}, .retry_after_ms = {}});
}

absl::StatusOr<FrontDoor::TokenizeCall> ReadTokenizeCall(JsonFields& fields, std::string_view text) {
  FrontDoor::TokenizeCall call;
  const std::optional<std::string> prompt = fields.Text("prompt");
  call.add_bos = fields.Bool("add_special_tokens").value_or(true);
  if (fields.Any("messages") != nullptr) {
    if (prompt) fields.Fail("prompt", "must not stand beside messages");
    ATOLL_ASSIGN_OR_RETURN(call.input, ReadChatPrompt(fields, text));
    return call;
  }
  if (!prompt && fields.status().ok()) fields.Fail("prompt", "must be given, or messages");
  ATOLL_RETURN_IF_ERROR(fields.status());
  call.input = TextPrompt{*prompt};
  return call;
}

void AppendIds(const std::vector<int32_t>& ids, std::string& out) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonInt(ids[i], out);
  }
}

absl::StatusOr<std::string> Tokenize(const FrontDoor& front_door, const std::string& text) {
  Json body;
  ATOLL_RETURN_IF_ERROR(ParseJson(text, body));
  JsonFields fields(body, "");
  ATOLL_RETURN_IF_ERROR(CheckModel(fields, front_door));
  const bool with_strings = fields.Bool("return_token_strs").value_or(false);
  ATOLL_ASSIGN_OR_RETURN(const FrontDoor::TokenizeCall call, ReadTokenizeCall(fields, text));
  ATOLL_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, front_door.Tokenize(call));
  std::string out = absl::StrCat("{\"count\":", ids.size(), ",\"max_model_len\":", front_door.context_length(), ",\"tokens\":[");
  AppendIds(ids, out);
  out += "],\"token_strs\":";
  out += with_strings ? "[" : "null";
  for (size_t i = 0; with_strings && i < ids.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonString(front_door.model().tokenizer()->TokenBytes(ids[i]), out);
  }
  return out += with_strings ? "]}" : "}";
}

absl::StatusOr<std::string> Detokenize(const FrontDoor& front_door, const std::string& text) {
  Json body;
  ATOLL_RETURN_IF_ERROR(ParseJson(text, body));
  JsonFields fields(body, "");
  ATOLL_RETURN_IF_ERROR(CheckModel(fields, front_door));
  const std::vector<int32_t> ids = fields.TokenIds("tokens");
  if (fields.Any("tokens") == nullptr) fields.Fail("tokens", "must be given");
  ATOLL_RETURN_IF_ERROR(fields.status());
  ATOLL_ASSIGN_OR_RETURN(const std::string prompt, front_door.Detokenize(ids));
  std::string out = "{\"prompt\":";
  AppendJsonString(prompt, out);
  return out += '}';
}

using Answer = absl::StatusOr<std::string> (*)(const FrontDoor&, const std::string&);

void AddPost(const std::string& path, Answer answer, FrontDoor* front_door, Worker* worker, Routes& routes) {
  routes.Add("POST", path, ByLength(worker, [answer, front_door](const Request& request, const std::shared_ptr<Exchange>& exchange) {
    absl::StatusOr<std::string> body = answer(*front_door, request.body);
    if (!body.ok()) return exchange->Respond(ErrorResponse(body.status()));
    exchange->Respond({.status = 200, .content_type = "application/json", .headers = {}, .body = *std::move(body)});
  }));
}

}  // namespace

void AddTokenizeRoutes(FrontDoor* front_door, Worker* worker, Routes& routes) {
  for (const char* prefix : {"", "/v1"}) {
    AddPost(absl::StrCat(prefix, "/tokenize"), Tokenize, front_door, worker, routes);
    AddPost(absl::StrCat(prefix, "/detokenize"), Detokenize, front_door, worker, routes);
  }
}

}  // namespace atoll::router::http
