#pragma once

// What a schema says at one place, read by name. Internal to model/grammar/.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/grammar/schema/schema_json.h"

namespace atoll::model::grammar {

struct Place {
  const SchemaJson& schema;
  std::string path;  // "$.properties.a"

  Place Member(const std::string& name, const SchemaJson& value) const { return {value, absl::StrCat(path, ".", name)}; }
  Place Item(size_t i, const SchemaJson& value) const { return {value, absl::StrCat(path, "[", i, "]")}; }
};

// INVALID_ARGUMENT and UNIMPLEMENTED with the place in front.
absl::Status Wrong(const Place& place, std::string_view sentence);
absl::Status NotSupported(const Place& place, std::string_view sentence);

// Whether the member says something about documents, rather than to people and programs.
bool IsAnnotation(std::string_view keyword);

// Names the first keyword that is neither an annotation nor one of `allowed`.
absl::Status AllowOnly(const Place& place, std::initializer_list<std::string_view> allowed);

// A count, where the member is there: a whole number from 0 to 2^20.
absl::StatusOr<std::optional<uint32_t>> ReadCount(const Place& place, std::string_view keyword);

// A number, where the member is there. What no double holds is infinite.
absl::StatusOr<std::optional<double>> ReadNumber(const Place& place, std::string_view keyword);

// The type of a value as schemas name it: "integer" for whole numbers, too.
bool HasType(const SchemaJson& value, std::string_view type);

}  // namespace atoll::model::grammar
