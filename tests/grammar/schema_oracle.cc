#include "tests/grammar/schema_oracle.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace atoll::model::grammar {
namespace {

using Json = nlohmann::json;

size_t Characters(const std::string& text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

class Oracle {
 public:
  explicit Oracle(const Json& root) : root_(root) {}

  std::string Check(const Json& schema, const Json& value, const std::string& at) const {
    if (schema.is_boolean()) return schema.get<bool>() ? "" : at + ": nothing is allowed";
    if (schema.value("nullable", false) && value.is_null()) return "";
    if (schema.contains("$ref")) return Check(Follow(schema["$ref"].get<std::string>()), value, at);
    for (const auto& [keyword, least, most] : {std::tuple("anyOf", 1, 1 << 30), std::tuple("oneOf", 1, 1), std::tuple("allOf", 1, 1)}) {
      if (!schema.contains(keyword)) continue;
      int valid = 0;
      for (const Json& alternative : schema[keyword]) valid += Check(alternative, value, at).empty();
      if (valid < least || valid > most) return at + ": " + std::to_string(valid) + " alternatives of " + keyword;
    }
    if (schema.contains("const") && schema["const"] != value) return at + ": not the constant";
    if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) return at + ": not in the enum";
    if (schema.contains("type") && !HasType(schema["type"], value)) return at + ": wrong type " + value.dump();
    if (value.is_string()) return CheckCount(schema, "minLength", "maxLength", Characters(value.get<std::string>()), at);
    if (value.is_number()) return CheckNumber(schema, value, at);
    if (value.is_array()) return CheckArray(schema, value, at);
    return value.is_object() ? CheckObject(schema, value, at) : "";
  }

 private:
  const Json& Follow(const std::string& pointer) const { return root_.at(Json::json_pointer(pointer.substr(1))); }

  static bool HasType(const Json& type, const Json& value) {
    if (type.is_array()) return std::any_of(type.begin(), type.end(), [&](const Json& name) { return HasType(name, value); });
    if (type == "integer") return value.is_number() && std::floor(value.get<double>()) == value.get<double>();
    return (type == "string" && value.is_string()) || (type == "number" && value.is_number()) || (type == "object" && value.is_object()) ||
           (type == "array" && value.is_array()) || (type == "boolean" && value.is_boolean()) || (type == "null" && value.is_null());
  }

  static std::string CheckCount(const Json& schema, const char* least, const char* most, size_t count, const std::string& at) {
    if (count < schema.value(least, size_t{0}) || count > schema.value(most, size_t{1} << 40)) return at + ": count " + std::to_string(count);
    return "";
  }

  static std::string CheckNumber(const Json& schema, const Json& value, const std::string& at) {
    const double number = value.get<double>();
    const bool fits = number >= schema.value("minimum", -INFINITY) && number <= schema.value("maximum", INFINITY) &&
                      number > schema.value("exclusiveMinimum", -INFINITY) && number < schema.value("exclusiveMaximum", INFINITY);
    return fits && std::isfinite(number) ? "" : at + ": number " + value.dump();
  }

  std::string CheckArray(const Json& schema, const Json& value, const std::string& at) const {
    if (const std::string why = CheckCount(schema, "minItems", "maxItems", value.size(), at); !why.empty()) return why;
    for (size_t i = 0; schema.contains("items") && i < value.size(); ++i) {
      if (const std::string why = Check(schema["items"], value[i], at + "[" + std::to_string(i) + "]"); !why.empty()) return why;
    }
    return "";
  }

  std::string CheckObject(const Json& schema, const Json& value, const std::string& at) const {
    for (const Json& name : schema.value("required", Json::array())) {
      if (!value.contains(name.get<std::string>())) return at + ": misses " + name.dump();
    }
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [name, member] : value.items()) {
      const Json& of_member = properties.contains(name) ? properties[name] : schema.contains("additionalProperties") ? schema["additionalProperties"] : kAnything;
      if (const std::string why = Check(of_member, member, at + "." + name); !why.empty()) return why;
    }
    return "";
  }

  const Json kAnything = true;
  const Json& root_;
};

// nlohmann keeps the last of two members of one name; readers differ in that, so that a declared property must not come twice.
bool HasPropertyTwice(const Json& properties, const std::string& document) {
  int open = 0;
  bool twice = false;
  std::set<std::string> seen;
  const auto note = [&](int, Json::parse_event_t event, Json& parsed) {
    open += (event == Json::parse_event_t::object_start) - (event == Json::parse_event_t::object_end);
    if (event == Json::parse_event_t::key && open == 1 && properties.contains(parsed.get<std::string>())) twice |= !seen.insert(parsed.get<std::string>()).second;
    return true;
  };
  const Json parsed = Json::parse(document, note, false);
  return twice || parsed.is_discarded();
}

}  // namespace

std::string WhyInvalid(const std::string& schema, const std::string& document) {
  const Json value = Json::parse(document, nullptr, false);
  if (value.is_discarded()) return "no JSON: " + document;
  const Json parsed = Json::parse(schema);
  const std::string why = Oracle(parsed).Check(parsed, value, "$");
  if (why.empty() && parsed.is_object() && HasPropertyTwice(parsed.value("properties", Json::object()), document)) return "a property comes twice: " + document;
  return why.empty() ? why : why + " in " + document;
}

}  // namespace atoll::model::grammar
