#include "model/grammar/schema/schema_place.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"

namespace atoll::model::grammar {
namespace {

constexpr double kCountMax = 1 << 20;
constexpr std::string_view kAnnotations[] = {"title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly",
                                             "discriminator", "$schema", "$id", "$comment", "$defs", "definitions", "nullable"};

std::string Said(const Place& place, std::string_view sentence) { return absl::StrCat(place.path, ": ", std::string(sentence)); }

}  // namespace

absl::Status Wrong(const Place& place, std::string_view sentence) { return absl::InvalidArgumentError(Said(place, sentence)); }

absl::Status NotSupported(const Place& place, std::string_view sentence) { return absl::UnimplementedError(Said(place, sentence)); }

bool IsAnnotation(std::string_view keyword) { return std::find(std::begin(kAnnotations), std::end(kAnnotations), keyword) != std::end(kAnnotations); }

absl::Status AllowOnly(const Place& place, std::initializer_list<std::string_view> allowed) {
  for (const auto& [name, value] : place.schema.members) {
    if (IsAnnotation(name) || std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
    return NotSupported(place, absl::StrCat("the keyword ", QuotedJson(name.substr(0, 64)), " is not supported here"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<double>> ReadNumber(const Place& place, std::string_view keyword) {
  const SchemaJson* found = place.schema.Find(keyword);
  if (found == nullptr) return std::optional<double>();
  if (found->kind != SchemaJson::Kind::kNumber) {
    return Wrong(place, absl::StrCat(std::string(keyword), ": expected a number, found ", std::string(KindName(found->kind))));
  }
  double value = 0;
  if (!absl::SimpleAtod(found->text, &value)) return Wrong(place, absl::StrCat(std::string(keyword), ": expected a number"));
  return std::optional<double>(value);
}

absl::StatusOr<std::optional<uint32_t>> ReadCount(const Place& place, std::string_view keyword) {
  ATOLL_ASSIGN_OR_RETURN(const std::optional<double> value, ReadNumber(place, keyword));
  if (!value) return std::optional<uint32_t>();
  if (*value < 0 || *value > kCountMax || std::floor(*value) != *value) {
    return Wrong(place, absl::StrCat(std::string(keyword), ": expected a whole number from 0 to ", static_cast<int64_t>(kCountMax), ", found ", *value));
  }
  return std::optional<uint32_t>(static_cast<uint32_t>(*value));
}

bool HasType(const SchemaJson& value, std::string_view type) {
  switch (value.kind) {
    case SchemaJson::Kind::kNull: return type == "null";
    case SchemaJson::Kind::kBoolean: return type == "boolean";
    case SchemaJson::Kind::kString: return type == "string";
    case SchemaJson::Kind::kArray: return type == "array";
    case SchemaJson::Kind::kObject: return type == "object";
    case SchemaJson::Kind::kNumber: break;
  }
  double number = 0;
  return type == "number" || (type == "integer" && absl::SimpleAtod(value.text, &number) && std::floor(number) == number);
}

}  // namespace atoll::model::grammar
