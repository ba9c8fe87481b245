#include "model/grammar/schema/schema_json.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/json_string.h"

namespace atoll::model::grammar {
namespace {

// Builds the value from the parser's events; false stops it.
class Builder {
 public:
  explicit Builder(SchemaJson* root) : root_(root) {}

  bool null() { return Add({}); }
  bool boolean(bool value) { return Add({.kind = SchemaJson::Kind::kBoolean, .boolean = value}); }
  bool number_integer(int64_t value) { return AddText(SchemaJson::Kind::kNumber, std::to_string(value)); }
  bool number_unsigned(uint64_t value) { return AddText(SchemaJson::Kind::kNumber, std::to_string(value)); }
  bool number_float(double, const std::string& text) { return AddText(SchemaJson::Kind::kNumber, text); }
  bool string(std::string& text) { return AddText(SchemaJson::Kind::kString, std::move(text)); }
  bool binary(std::vector<uint8_t>&) { return Refuse("binary values are not JSON"); }

  bool start_object(size_t) { return Open(SchemaJson::Kind::kObject); }
  bool start_array(size_t) { return Open(SchemaJson::Kind::kArray); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }

  bool key(std::string& name) {
    const SchemaJson& parent = *open_.back();
    if (parent.members.size() >= kSchemaMembersMax) return Refuse(absl::StrCat("an object has more than ", kSchemaMembersMax, " members"));
    if (parent.Find(name) != nullptr) return Refuse("an object has two members of one name");
    member_ = std::move(name);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) { return Refuse(absl::StrCat("an error at byte ", position)); }

  const std::string& error() const { return error_; }

 private:
  bool Refuse(std::string sentence) {
    error_ = std::move(sentence);
    return false;
  }

  SchemaJson* Place(SchemaJson value) {
    if (open_.empty()) return &(*root_ = std::move(value));
    SchemaJson& parent = *open_.back();
    if (parent.IsArray()) return &parent.items.emplace_back(std::move(value));
    return &parent.members.emplace_back(std::move(member_), std::move(value)).second;
  }
  bool Add(SchemaJson value) {
    Place(std::move(value));
    return true;
  }
  bool AddText(SchemaJson::Kind kind, std::string text) { return Add({.kind = kind, .text = std::move(text)}); }
  bool Open(SchemaJson::Kind kind) {
    if (open_.size() >= kSchemaDepthMax) return Refuse(absl::StrCat("it is nested deeper than ", kSchemaDepthMax));
    open_.push_back(Place({.kind = kind}));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  SchemaJson* const root_;
  std::vector<SchemaJson*> open_;  // a child is placed in the innermost alone, so that none of these moves
  std::string member_;
  std::string error_;
};

void Append(const SchemaJson& value, std::string& out) {
  const char* separator = "";
  switch (value.kind) {
    case SchemaJson::Kind::kNull: out += "null"; return;
    case SchemaJson::Kind::kBoolean: out += value.boolean ? "true" : "false"; return;
    case SchemaJson::Kind::kNumber: out += value.text; return;
    case SchemaJson::Kind::kString: out += QuotedJson(value.text); return;
    case SchemaJson::Kind::kArray:
      out += '[';
      for (const SchemaJson& item : value.items) out += std::exchange(separator, ","), Append(item, out);
      out += ']';
      return;
    case SchemaJson::Kind::kObject:
      out += '{';
      for (const auto& [name, member] : value.members) {
        out.append(std::exchange(separator, ",")).append(QuotedJson(name)).append(":");
        Append(member, out);
      }
      out += '}';
  }
}

}  // namespace

const SchemaJson* SchemaJson::Find(std::string_view name) const {
  const auto found = std::find_if(members.begin(), members.end(), [name](const auto& member) { return member.first == name; });
  return found == members.end() ? nullptr : &found->second;
}

absl::StatusOr<SchemaJson> ParseSchemaJson(std::string_view text) {
  if (text.size() > kSchemaBytesMax) return absl::InvalidArgumentError(absl::StrCat("expected at most ", kSchemaBytesMax, " bytes, found ", text.size()));
  // The parser takes a NUL for the end.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) return absl::InvalidArgumentError(absl::StrCat("expected JSON, found an error at byte ", nul));
  SchemaJson value;
  Builder builder(&value);
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) return value;
  return absl::InvalidArgumentError(absl::StrCat("expected JSON, found that ", builder.error()));
}

std::string QuotedJson(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

std::string WriteJson(const SchemaJson& value) {
  std::string out;
  Append(value, out);
  return out;
}

std::string_view KindName(SchemaJson::Kind kind) {
  switch (kind) {
    case SchemaJson::Kind::kNull: return "null";
    case SchemaJson::Kind::kBoolean: return "a boolean";
    case SchemaJson::Kind::kNumber: return "a number";
    case SchemaJson::Kind::kString: return "a string";
    case SchemaJson::Kind::kArray: return "an array";
    case SchemaJson::Kind::kObject: return "an object";
  }
  return "nothing";
}

}  // namespace atoll::model::grammar
