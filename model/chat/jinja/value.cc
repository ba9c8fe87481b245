#include "model/chat/jinja/value.h"

namespace atoll::model::jinja {

Text Text::Of(std::string_view bytes, Origin origin) {
  return {std::string(bytes), std::string(bytes.size(), static_cast<char>(origin))};
}

void Text::Append(const Text& other) {
  bytes += other.bytes;
  origins += other.origins;
}

Text Text::Part(size_t begin, size_t length) const { return {bytes.substr(begin, length), origins.substr(begin, length)}; }

bool Value::IsTrue() const {
  if (IsUndefined() || IsNone()) return false;
  if (const bool* flag = std::get_if<bool>(&variant_)) return *flag;
  if (const int64_t* integer = AsInteger()) return *integer != 0;
  if (const Text* text = AsText()) return !text->bytes.empty();
  if (const List* list = AsList()) return !list->empty();
  if (const Map* map = AsMap()) return !map->empty();
  return true;
}

bool Value::Equals(const Value& other) const {
  if (variant_.index() != other.variant_.index()) return false;
  if (IsUndefined() || IsNone()) return true;
  if (const bool* flag = std::get_if<bool>(&variant_)) return *flag == std::get<bool>(other.variant_);
  if (const int64_t* integer = AsInteger()) return *integer == *other.AsInteger();
  if (const Text* text = AsText()) return text->bytes == other.AsText()->bytes;
  return false;
}

std::string_view Value::TypeName() const {
  constexpr std::string_view kNames[] = {"undefined", "none", "a flag", "an integer", "a text", "a list", "a map", "a namespace"};
  return kNames[variant_.index()];
}

Text Value::Printed() const {
  if (const Text* text = AsText()) return *text;
  if (IsUndefined()) return {};
  if (IsNone()) return Text::Of("None", Origin::kTemplate);
  if (const bool* flag = std::get_if<bool>(&variant_)) return Text::Of(*flag ? "True" : "False", Origin::kTemplate);
  if (const int64_t* integer = AsInteger()) return Text::Of(std::to_string(*integer), Origin::kTemplate);
  return Text::Of(TypeName(), Origin::kTemplate);
}

Value ValueOfKey(const Map& map, std::string_view key) {
  for (const auto& [name, value] : map) {
    if (name == key) return value;
  }
  return Value();
}

}  // namespace atoll::model::jinja
