#include "router/http/api/tool_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "router/http/json/json_text.h"

namespace atoll::router::http {
namespace {

bool IsName(std::string_view name) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; };
  return !name.empty() && name.size() <= kToolNameBytesMax && std::all_of(name.begin(), name.end(), allowed);
}

model::Tool ReadTool(const Json& value, std::string_view text, size_t index, JsonFields& chat) {
  JsonFields fields(value, absl::StrCat("tools[", index, "]"));
  model::Tool tool;
  if (fields.Text("type").value_or("function") != "function") fields.Refuse("type", "only function is supported here");
  const Json* function = fields.Object("function");
  if (function == nullptr) {
    fields.Fail("function", "must be given");
  } else {
    JsonFields inner(*function, fields.PathOf("function"));
    tool.name = inner.Text("name").value_or("");
    tool.description = inner.Text("description").value_or("");
    tool.strict = inner.Bool("strict").value_or(false);
    if (!IsName(tool.name)) inner.Fail("name", absl::StrCat("expected 1 to ", kToolNameBytesMax, " characters of [A-Za-z0-9_.-]"));
    if (inner.Object("parameters") != nullptr) tool.parameters = std::string(TextAtPath(text, {"function", "parameters"}).value_or(""));
    fields.Merge(inner.status());
  }
  chat.Merge(fields.status());
  return tool;
}

// "none", "auto", "required", or {"type": "function", "function": {"name": ...}}.
void ReadChoice(JsonFields& fields, ToolUse& use) {
  const Json* choice = fields.Any("tool_choice");
  use.choice = use.tools.empty() ? ToolChoice::kNone : ToolChoice::kAuto;
  if (choice == nullptr) return;
  if (*choice == "none") {
    use.choice = ToolChoice::kNone;
  } else if (*choice == "required") {
    use.choice = ToolChoice::kRequired;
  } else if (choice->is_object()) {
    JsonFields named(*choice, "tool_choice");
    if (named.Text("type").value_or("") != "function") named.Refuse("type", "only function is supported here");
    const Json* function = named.Object("function");
    if (function == nullptr && named.status().ok()) named.Fail("function", "must be given");
    if (function != nullptr) {
      JsonFields inner(*function, "tool_choice.function");
      use.named = inner.Text("name").value_or("");
      named.Merge(inner.status());
    }
    use.choice = ToolChoice::kNamed;
    fields.Merge(named.status());
    const bool known = std::any_of(use.tools.begin(), use.tools.end(), [&](const model::Tool& tool) { return tool.name == use.named; });
    if (!known) fields.Fail("tool_choice", "names a tool that is not among the tools");
  } else if (*choice != "auto") {
    fields.Fail("tool_choice", "expected none, auto, required or {\"type\": \"function\", \"function\": {\"name\": ...}}");
  }
  if (use.choice == ToolChoice::kRequired && use.tools.empty()) fields.Fail("tool_choice", "needs tools");
}

void CheckNames(const ToolUse& use, JsonFields& fields) {
  for (size_t i = 0; i < use.tools.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (use.tools[i].name == use.tools[k].name) fields.Fail(absl::StrCat("tools[", i, "].function.name"), "comes twice");
    }
  }
}

}  // namespace

ToolUse ReadToolUse(JsonFields& fields, std::string_view text) {
  ToolUse use;
  use.parallel = fields.Bool("parallel_tool_calls").value_or(true);
  const Json* tools = fields.Array("tools");
  if (tools != nullptr && tools->size() > kToolsMax) {
    fields.Fail("tools", absl::StrCat("may have ", kToolsMax, " entries at most, found ", tools->size()));
    return use;
  }
  const std::vector<std::string_view> texts = ElementTexts(MemberText(text, "tools").value_or("[]"));
  for (size_t i = 0; tools != nullptr && i < tools->size() && i < texts.size(); ++i) use.tools.push_back(ReadTool((*tools)[i], texts[i], i, fields));
  CheckNames(use, fields);
  ReadChoice(fields, use);
  return use;
}

}  // namespace atoll::router::http
