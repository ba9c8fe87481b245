// What schemas say of each type.

#include <algorithm>
#include <cmath>

#include "model/grammar/schema/schema_compiler.h"

namespace atoll::model::grammar {
namespace {

constexpr std::string_view kOfStrings[] = {"minLength", "maxLength", "pattern", "format"};
constexpr std::string_view kOfNumbers[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
constexpr std::string_view kOfArrays[] = {"items", "minItems", "maxItems", "uniqueItems"};
constexpr std::string_view kOfObjects[] = {"properties", "required", "additionalProperties"};

template <size_t count>
bool SaysOf(const Place& place, const std::string_view (&keywords)[count]) {
  return std::any_of(std::begin(keywords), std::end(keywords), [&](std::string_view keyword) { return place.schema.Find(keyword) != nullptr; });
}

// The type that the other keywords are about; empty: none is there.
std::string GuessedType(const Place& place) {
  if (SaysOf(place, kOfObjects)) return "object";
  if (SaysOf(place, kOfArrays)) return "array";
  if (SaysOf(place, kOfStrings)) return "string";
  return SaysOf(place, kOfNumbers) ? "number" : "";
}

absl::Status ReadCounts(const Place& place, std::string_view least, std::string_view most, Node& node) {
  ATOLL_ASSIGN_OR_RETURN(const std::optional<uint32_t> from, ReadCount(place, least));
  ATOLL_ASSIGN_OR_RETURN(const std::optional<uint32_t> to, ReadCount(place, most));
  node.least = from.value_or(0);
  node.most = to.value_or(kNoLimit);
  if (node.least <= node.most) return absl::OkStatus();
  return Wrong(place, absl::StrCat(std::string(least), " is ", node.least, ", more than ", std::string(most), ", which is ", node.most));
}

// The whole numbers that a bound leaves; `exclusive`: it is not one of them.
absl::Status RaiseLowest(const Place& place, std::string_view keyword, bool exclusive, int64_t& lowest) {
  ATOLL_ASSIGN_OR_RETURN(const std::optional<double> bound, ReadNumber(place, keyword));
  if (!bound) return absl::OkStatus();
  const double whole = exclusive ? std::floor(*bound) + 1 : std::ceil(*bound);
  if (whole > static_cast<double>(kIntegerMax)) return NotSupported(place, absl::StrCat(std::string(keyword), " above 2^53 - 1 is not supported"));
  lowest = static_cast<int64_t>(std::max(static_cast<double>(lowest), whole));
  return absl::OkStatus();
}

absl::Status LowerHighest(const Place& place, std::string_view keyword, bool exclusive, int64_t& highest) {
  ATOLL_ASSIGN_OR_RETURN(const std::optional<double> bound, ReadNumber(place, keyword));
  if (!bound) return absl::OkStatus();
  const double whole = exclusive ? std::ceil(*bound) - 1 : std::floor(*bound);
  if (whole < -static_cast<double>(kIntegerMax)) return NotSupported(place, absl::StrCat(std::string(keyword), " below -(2^53 - 1) is not supported"));
  highest = static_cast<int64_t>(std::min(static_cast<double>(highest), whole));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NodeId> SchemaCompiler::CompileTypes(const Place& place) {
  ATOLL_RETURN_IF_ERROR(AllowOnly(place, {"type", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
                                          "items", "minItems", "maxItems", "uniqueItems", "properties", "required", "additionalProperties"}));
  const SchemaJson* type = place.schema.Find("type");
  if (type == nullptr) {
    const std::string guessed = GuessedType(place);
    return guessed.empty() ? any_.value : CompileType(place, guessed);
  }
  if (type->IsString()) return CompileType(place, type->text);
  if (!type->IsArray() || type->items.empty()) return Wrong(place, absl::StrCat("type: expected a name or a list of names, found ", std::string(KindName(type->kind))));
  Node node{.kind = NodeKind::kAnyOf};
  for (const SchemaJson& name : type->items) {
    if (!name.IsString() || node.children.size() >= kAlternativesMax) return Wrong(place, "type: expected a list of names");
    ATOLL_ASSIGN_OR_RETURN(const NodeId child, CompileType(place, name.text));
    node.children.push_back(child);
  }
  return graph_.Add(std::move(node));
}

absl::StatusOr<NodeId> SchemaCompiler::CompileType(const Place& place, const std::string& type) {
  if (type == "object") return CompileObject(place);
  if (type == "array") return CompileArray(place);
  if (type == "string") return CompileString(place);
  if (type == "integer") return CompileInteger(place);
  if (type == "number") return CompileNumber(place);
  if (type == "boolean") return AddWords({"true", "false"});
  if (type == "null") return AddWords({"null"});
  return Wrong(place, absl::StrCat("type: expected object, array, string, integer, number, boolean or null, found ", QuotedJson(type.substr(0, 64))));
}

absl::StatusOr<NodeId> SchemaCompiler::CompileString(const Place& place) {
  Node node{.kind = NodeKind::kString};
  ATOLL_RETURN_IF_ERROR(ReadCounts(place, "minLength", "maxLength", node));
  return graph_.Add(std::move(node));
}

absl::StatusOr<NodeId> SchemaCompiler::CompileInteger(const Place& place) {
  Node node{.kind = NodeKind::kInteger};
  ATOLL_RETURN_IF_ERROR(RaiseLowest(place, "minimum", false, node.lowest));
  ATOLL_RETURN_IF_ERROR(RaiseLowest(place, "exclusiveMinimum", true, node.lowest));
  ATOLL_RETURN_IF_ERROR(LowerHighest(place, "maximum", false, node.highest));
  ATOLL_RETURN_IF_ERROR(LowerHighest(place, "exclusiveMaximum", true, node.highest));
  ATOLL_ASSIGN_OR_RETURN(const std::optional<double> multiple, ReadNumber(place, "multipleOf"));
  if (multiple.value_or(1) != 1) return NotSupported(place, "multipleOf other than 1 is not supported");
  if (node.lowest > node.highest) return Wrong(place, absl::StrCat("no integer is at least ", node.lowest, " and at most ", node.highest));
  return graph_.Add(std::move(node));
}

// Of the bounds of fractions only zero is exact digit by digit.
absl::StatusOr<NodeId> SchemaCompiler::CompileNumber(const Place& place) {
  Node node{.kind = NodeKind::kNumber};
  for (const char* keyword : {"maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}) {
    if (place.schema.Find(keyword) != nullptr) return NotSupported(place, absl::StrCat(keyword, " of a number is not supported; of an integer it is"));
  }
  ATOLL_ASSIGN_OR_RETURN(const std::optional<double> least, ReadNumber(place, "minimum"));
  if (least && *least != 0) return NotSupported(place, "minimum of a number other than 0 is not supported; of an integer it is");
  if (least) node.lowest = 0;
  return graph_.Add(std::move(node));
}

absl::StatusOr<NodeId> SchemaCompiler::CompileArray(const Place& place) {
  Node node{.kind = NodeKind::kArray};
  ATOLL_RETURN_IF_ERROR(ReadCounts(place, "minItems", "maxItems", node));
  const SchemaJson* unique = place.schema.Find("uniqueItems");
  if (unique != nullptr && !unique->IsBoolean(false)) return NotSupported(place, "uniqueItems is not supported");
  const SchemaJson* items = place.schema.Find("items");
  if (items != nullptr && items->IsBoolean(false)) node.most = 0, items = nullptr;
  if (node.least > node.most) return Wrong(place, "minItems beside items: false");
  node.children = {any_.value};
  if (items != nullptr) {
    ATOLL_ASSIGN_OR_RETURN(node.children[0], CompileAt(place.Member("items", *items)));
  }
  return graph_.Add(std::move(node));
}

absl::StatusOr<NodeId> SchemaCompiler::CompileObject(const Place& place) {
  Node node{.kind = NodeKind::kObject};
  ATOLL_RETURN_IF_ERROR(AddProperties(place, node));
  ATOLL_RETURN_IF_ERROR(AddAdditional(place, node));
  ATOLL_RETURN_IF_ERROR(AddRequired(place, node));
  return graph_.Add(std::move(node));
}

absl::Status SchemaCompiler::AddProperties(const Place& place, Node& node) {
  const SchemaJson* properties = place.schema.Find("properties");
  if (properties == nullptr) return absl::OkStatus();
  if (!properties->IsObject()) return Wrong(place, absl::StrCat("properties: expected an object, found ", std::string(KindName(properties->kind))));
  for (const auto& [name, schema] : properties->members) {
    ATOLL_ASSIGN_OR_RETURN(const NodeId value, CompileAt(place.Member("properties", *properties).Member(name.substr(0, 64), schema)));
    node.properties.push_back({.quoted_name = QuotedJson(name), .value = value, .required = false});
  }
  return absl::OkStatus();
}

// Where properties are named and nothing is said of others, there are none: the documents stay valid.
absl::Status SchemaCompiler::AddAdditional(const Place& place, Node& node) {
  const SchemaJson* additional = place.schema.Find("additionalProperties");
  if (additional == nullptr) {
    if (node.properties.empty()) node.additional = any_.value;
    return absl::OkStatus();
  }
  if (additional->IsBoolean(false)) return absl::OkStatus();
  ATOLL_ASSIGN_OR_RETURN(node.additional, CompileAt(place.Member("additionalProperties", *additional)));
  return absl::OkStatus();
}

absl::Status SchemaCompiler::AddRequired(const Place& place, Node& node) {
  const SchemaJson* required = place.schema.Find("required");
  if (required == nullptr) return absl::OkStatus();
  if (!required->IsArray()) return Wrong(place, absl::StrCat("required: expected a list of names, found ", std::string(KindName(required->kind))));
  for (const SchemaJson& name : required->items) {
    if (!name.IsString()) return Wrong(place, "required: expected a list of names");
    const std::string quoted = QuotedJson(name.text);
    const auto found = std::find_if(node.properties.begin(), node.properties.end(), [&](const Property& property) { return property.quoted_name == quoted; });
    if (found != node.properties.end()) {
      found->required = true;
      continue;
    }
    const SchemaJson* additional = place.schema.Find("additionalProperties");
    if (additional != nullptr && additional->IsBoolean(false)) return Wrong(place, absl::StrCat("required: ", quoted.substr(0, 64), " is no property, and no others are allowed"));
    if (node.properties.size() >= kPropertiesMax) return NotSupported(place, absl::StrCat("more than ", kPropertiesMax, " properties are not supported"));
    node.properties.push_back({.quoted_name = quoted, .value = node.additional == kNoNode ? any_.value : node.additional, .required = true});
  }
  return absl::OkStatus();
}

}  // namespace atoll::model::grammar
