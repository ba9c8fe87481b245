#pragma once

// A JSON schema as it is written: members in their order, numbers by their digits.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace atoll::model::grammar {

inline constexpr size_t kSchemaBytesMax = 64 << 10;
inline constexpr int kSchemaDepthMax = 64;
inline constexpr size_t kSchemaMembersMax = 512;  // of one object

struct SchemaJson {
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  std::string text = {};  // of a string, unescaped; of a number, as it was written
  std::vector<SchemaJson> items = {};
  std::vector<std::pair<std::string, SchemaJson>> members = {};

  bool IsString() const { return kind == Kind::kString; }
  bool IsArray() const { return kind == Kind::kArray; }
  bool IsObject() const { return kind == Kind::kObject; }
  bool IsBoolean(bool value) const { return kind == Kind::kBoolean && boolean == value; }
  const SchemaJson* Find(std::string_view name) const;
};

// INVALID_ARGUMENT: no JSON, over a limit, or two members of one name.
absl::StatusOr<SchemaJson> ParseSchemaJson(std::string_view text);

// JSON without white space; what this writes of a text is the one way in which a constrained sequence writes it.
std::string QuotedJson(std::string_view text);
std::string WriteJson(const SchemaJson& value);

// "a string": for messages.
std::string_view KindName(SchemaJson::Kind kind);

}  // namespace atoll::model::grammar
