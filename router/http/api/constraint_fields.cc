#include "router/http/api/constraint_fields.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "router/http/json/json_text.h"

namespace atoll::router::http {
namespace {

using model::Constraint;

Constraint SchemaAt(std::string_view text, const std::vector<std::string_view>& path) {
  return {.kind = model::JsonSchema{std::string(TextAtPath(text, path).value_or(""))}};
}

std::optional<Constraint> ReadResponseFormat(JsonFields& fields, std::string_view text) {
  const Json* value = fields.Object("response_format");
  if (value == nullptr) return std::nullopt;
  JsonFields format(*value, "response_format");
  const std::string type = format.Text("type").value_or("");
  std::optional<Constraint> constraint;
  if (type == "json_object") {
    constraint = Constraint{.kind = model::JsonObject{}};
  } else if (type == "json_schema") {
    const Json* named = format.Object("json_schema");
    if (named == nullptr) format.Fail("json_schema", "must be given");
    if (named != nullptr && !named->contains("schema")) format.Fail("json_schema.schema", "must be given");
    constraint = SchemaAt(text, {"response_format", "json_schema", "schema"});
  } else if (type != "text") {
    format.Refuse("type", "only text, json_object and json_schema are supported here");
  }
  fields.Merge(format.status());
  return constraint;
}

// A schema, or one as the text of a string.
std::optional<Constraint> ReadGuidedJson(JsonFields& fields, std::string_view text) {
  const Json* value = fields.Any("guided_json");
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return Constraint{.kind = model::JsonSchema{value->get<std::string>()}};
  return SchemaAt(text, {"guided_json"});
}

std::optional<Constraint> ReadStructuredOutputs(JsonFields& fields, std::string_view text) {
  const Json* value = fields.Object("structured_outputs");
  if (value == nullptr) return std::nullopt;
  JsonFields outputs(*value, "structured_outputs");
  std::optional<Constraint> constraint;
  if (outputs.Bool("json_object").value_or(false)) constraint = Constraint{.kind = model::JsonObject{}};
  if (const Json* schema = outputs.Any("json"); schema != nullptr) {
    constraint = schema->is_string() ? Constraint{.kind = model::JsonSchema{schema->get<std::string>()}} : SchemaAt(text, {"structured_outputs", "json"});
  }
  for (const auto& [name, member] : value->items()) {
    if (name != "json" && name != "json_object" && !member.is_null()) outputs.Refuse(name, "is not supported here; json and json_object are");
  }
  fields.Merge(outputs.status());
  return constraint;
}

}  // namespace

std::optional<Constraint> ReadConstraint(JsonFields& fields, std::string_view text) {
  std::optional<Constraint> constraint;
  for (const auto read : {ReadResponseFormat, ReadGuidedJson, ReadStructuredOutputs}) {
    std::optional<Constraint> found = read(fields, text);
    if (found && constraint) fields.Fail("response_format", "comes beside guided_json or structured_outputs; send one of them");
    if (found) constraint = std::move(found);
  }
  return constraint;
}

}  // namespace atoll::router::http
