#pragma once

// The values that a template's expressions have.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace atoll::model::jinja {

// Where a byte of a text comes from: the template (or the tokenizer's own tokens), or the data that is rendered.
enum class Origin : char { kTemplate = 't', kData = 'd' };

// A text that remembers for each byte where it comes from, through concatenation and splitting.
struct Text {
  std::string bytes;
  std::string origins;  // as long as bytes, of Origin's values

  static Text Of(std::string_view bytes, Origin origin);
  void Append(const Text& other);
  Text Part(size_t begin, size_t length) const;
};

struct Undefined {};
struct None {};

class Value;
using List = std::vector<Value>;
using Map = std::vector<std::pair<std::string, Value>>;  // few keys, searched in order

// Texts, lists and maps are immutable and owned jointly by every value that was copied from the one that made them: looking a
// message up must not copy it. A namespace is owned jointly by the variables that name it, and is the one thing that changes.
class Value {
 public:
  Value() : variant_(Undefined{}) {}
  static Value OfNone() { return Value(None{}); }
  static Value Of(bool value) { return Value(value); }
  static Value Of(int64_t value) { return Value(value); }
  static Value Of(Text text) { return Value(std::make_shared<const Text>(std::move(text))); }
  static Value Of(List list) { return Value(std::make_shared<const List>(std::move(list))); }
  static Value Of(Map map) { return Value(std::make_shared<const Map>(std::move(map))); }
  static Value NewNamespace(Map map) { return Value(std::make_shared<Map>(std::move(map))); }

  bool IsUndefined() const { return std::holds_alternative<Undefined>(variant_); }
  bool IsNone() const { return std::holds_alternative<None>(variant_); }
  const Text* AsText() const { return Pointer<std::shared_ptr<const Text>>(); }
  const List* AsList() const { return Pointer<std::shared_ptr<const List>>(); }
  const Map* AsMap() const { return Pointer<std::shared_ptr<const Map>>(); }  // no namespace
  Map* AsNamespace() const { return Pointer<std::shared_ptr<Map>>(); }
  const int64_t* AsInteger() const { return std::get_if<int64_t>(&variant_); }

  bool IsTrue() const;                       // as Python takes it
  bool Equals(const Value& other) const;     // lists, maps and namespaces are equal to nothing
  std::string_view TypeName() const;         // "text", "none", …: for messages
  Text Printed() const;                      // undefined prints nothing, none "None"; of lists and maps their type's name

 private:
  using Variant = std::variant<Undefined, None, bool, int64_t, std::shared_ptr<const Text>, std::shared_ptr<const List>,
                               std::shared_ptr<const Map>, std::shared_ptr<Map>>;

  explicit Value(Variant variant) : variant_(std::move(variant)) {}

  template <typename Shared>
  auto Pointer() const -> typename Shared::element_type* {
    const Shared* held = std::get_if<Shared>(&variant_);
    return held == nullptr ? nullptr : held->get();
  }

  Variant variant_;
};

// Undefined where the key is absent.
Value ValueOfKey(const Map& map, std::string_view key);

}  // namespace atoll::model::jinja
