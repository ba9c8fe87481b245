#include "model/grammar/schema/schema_compiler.h"

#include <algorithm>

namespace atoll::model::grammar {
namespace {

constexpr int kExclusiveDepthMax = 4;

// What tells values of two kinds apart: the first byte of their JSON.
char ClassOf(const Node& node) {
  switch (node.kind) {
    case NodeKind::kString: return '"';
    case NodeKind::kInteger:
    case NodeKind::kNumber: return '0';
    case NodeKind::kObject: return '{';
    case NodeKind::kArray: return '[';
    default: return '?';
  }
}

char ClassOfWord(const std::string& word) { return word[0] == '-' || (word[0] >= '0' && word[0] <= '9') ? '0' : word[0]; }

bool WordsExclude(const Node& words, const Node& other) {
  if (other.kind != NodeKind::kWords) {
    return std::none_of(words.words.begin(), words.words.end(), [&](const std::string& word) { return ClassOfWord(word) == ClassOf(other); });
  }
  // Numbers may be written in several ways: two that are written differently may still be equal.
  return std::none_of(words.words.begin(), words.words.end(), [&](const std::string& word) {
    return std::any_of(other.words.begin(), other.words.end(), [&](const std::string& another) {
      return word == another || (ClassOfWord(word) == ClassOfWord(another) && std::string_view("0{[").find(ClassOfWord(word)) != std::string_view::npos);
    });
  });
}

}  // namespace

absl::StatusOr<AnyValue> AddAnyValue(Graph& graph) {
  AnyValue any;
  ATOLL_ASSIGN_OR_RETURN(any.value, graph.Add({.kind = NodeKind::kAnyOf}));
  ATOLL_ASSIGN_OR_RETURN(any.object, graph.Add({.kind = NodeKind::kObject, .additional = any.value}));
  ATOLL_ASSIGN_OR_RETURN(const NodeId array, graph.Add({.kind = NodeKind::kArray, .children = {any.value}}));
  ATOLL_ASSIGN_OR_RETURN(const NodeId string, graph.Add({.kind = NodeKind::kString}));
  ATOLL_ASSIGN_OR_RETURN(const NodeId number, graph.Add({.kind = NodeKind::kNumber}));
  ATOLL_ASSIGN_OR_RETURN(const NodeId words, graph.Add({.kind = NodeKind::kWords, .words = {"false", "null", "true"}}));
  graph.node(any.value).children = {any.object, array, string, number, words};
  return any;
}

absl::StatusOr<NodeId> SchemaCompiler::Compile() {
  ATOLL_ASSIGN_OR_RETURN(const NodeId root, CompileAt({schema_, "$"}));
  ATOLL_RETURN_IF_ERROR(CompileReferences());
  return root;
}

absl::StatusOr<NodeId> SchemaCompiler::AddWords(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return graph_.Add({.kind = NodeKind::kWords, .words = std::move(words)});
}

absl::StatusOr<NodeId> SchemaCompiler::CompileAt(const Place& place) {
  if (place.schema.IsBoolean(true)) return any_.value;
  if (place.schema.IsBoolean(false)) return NotSupported(place, "the schema false, which nothing satisfies, is not supported here");
  if (!place.schema.IsObject()) return Wrong(place, absl::StrCat("expected a schema, found ", std::string(KindName(place.schema.kind))));
  if (place.schema.Find("$ref") != nullptr) return CompileReference(place);
  for (const char* keyword : {"anyOf", "oneOf", "allOf"}) {
    if (place.schema.Find(keyword) == nullptr) continue;
    ATOLL_ASSIGN_OR_RETURN(const NodeId node, CompileAlternatives(place, keyword));
    return OrNull(place, node);
  }
  const bool names_values = place.schema.Find("enum") != nullptr || place.schema.Find("const") != nullptr;
  ATOLL_ASSIGN_OR_RETURN(const NodeId node, names_values ? CompileValues(place) : CompileTypes(place));
  return OrNull(place, node);
}

// OpenAPI's word for: or null.
absl::StatusOr<NodeId> SchemaCompiler::OrNull(const Place& place, NodeId node) {
  const SchemaJson* nullable = place.schema.Find("nullable");
  if (nullable == nullptr || !nullable->IsBoolean(true)) return node;
  ATOLL_ASSIGN_OR_RETURN(const NodeId null, AddWords({"null"}));
  return graph_.Add({.kind = NodeKind::kAnyOf, .children = {node, null}});
}

absl::StatusOr<NodeId> SchemaCompiler::CompileReference(const Place& place) {
  ATOLL_RETURN_IF_ERROR(AllowOnly(place, {"$ref"}));
  const SchemaJson& reference = *place.schema.Find("$ref");
  if (!reference.IsString() || !reference.text.starts_with('#')) return NotSupported(place, "$ref: only references into the schema itself are supported, \"#/...\"");
  const auto known = references_.find(reference.text);
  if (known != references_.end()) return OrNull(place, known->second);
  ATOLL_ASSIGN_OR_RETURN(const NodeId node, graph_.Add({.kind = NodeKind::kAnyOf}));
  references_.emplace(reference.text, node);
  to_compile_.push_back({node, reference.text});
  return OrNull(place, node);
}

// One after the other, so that definitions that refer to each other do not nest here.
absl::Status SchemaCompiler::CompileReferences() {
  for (size_t i = 0; i < to_compile_.size(); ++i) {
    const Reference reference = to_compile_[i];
    ATOLL_ASSIGN_OR_RETURN(const SchemaJson* schema, Follow(reference.pointer));
    ATOLL_ASSIGN_OR_RETURN(const NodeId node, CompileAt({*schema, reference.pointer}));
    graph_.node(reference.node).children = {node};
  }
  return absl::OkStatus();
}

absl::StatusOr<const SchemaJson*> SchemaCompiler::Follow(const std::string& pointer) const {
  const SchemaJson* at = &schema_;
  const auto missing = [&] { return absl::InvalidArgumentError(absl::StrCat("$ref ", QuotedJson(pointer.substr(0, 128)), ": the schema has no such place")); };
  std::string_view rest = std::string_view(pointer).substr(1);
  while (!rest.empty()) {
    if (rest[0] != '/') return missing();
    const size_t end = std::min(rest.find('/', 1), rest.size());
    std::string name(rest.substr(1, end - 1));
    rest.remove_prefix(end);
    for (const auto& [escape, plain] : {std::pair("~1", "/"), std::pair("~0", "~")}) {
      for (size_t found = 0; (found = name.find(escape, found)) != std::string::npos; ++found) name.replace(found, 2, plain);
    }
    at = at->Find(name);
    if (at == nullptr) return missing();
  }
  return at;
}

// enum and const: the values that are of the type, where one is named.
absl::StatusOr<NodeId> SchemaCompiler::CompileValues(const Place& place) {
  ATOLL_RETURN_IF_ERROR(AllowOnly(place, {"enum", "const", "type"}));
  const SchemaJson* list = place.schema.Find("enum");
  const SchemaJson* one = place.schema.Find("const");
  if (list != nullptr && !list->IsArray()) return Wrong(place, absl::StrCat("enum: expected a list, found ", std::string(KindName(list->kind))));
  if (list != nullptr && one != nullptr) return NotSupported(place, "enum beside const is not supported");
  const SchemaJson* type = place.schema.Find("type");
  std::vector<std::string> words;
  const auto fits = [&](const SchemaJson& value) {
    if (type == nullptr) return true;
    if (type->IsString()) return HasType(value, type->text);
    return std::any_of(type->items.begin(), type->items.end(), [&](const SchemaJson& name) { return HasType(value, name.text); });
  };
  if (one != nullptr && fits(*one)) words.push_back(WriteJson(*one));
  if (list != nullptr) {
    for (const SchemaJson& value : list->items) {
      if (fits(value)) words.push_back(WriteJson(value));
    }
  }
  if (words.empty()) return Wrong(place, "no value is left to choose");
  return AddWords(std::move(words));
}

absl::StatusOr<NodeId> SchemaCompiler::CompileAlternatives(const Place& place, const std::string& keyword) {
  ATOLL_RETURN_IF_ERROR(AllowOnly(place, {keyword}));
  const SchemaJson& list = *place.schema.Find(keyword);
  if (!list.IsArray() || list.items.empty()) return Wrong(place, absl::StrCat(keyword, ": expected a list of schemas"));
  if (keyword == "allOf" && list.items.size() > 1) return NotSupported(place, "allOf of more than one schema is not supported");
  if (list.items.size() > kAlternativesMax) return NotSupported(place, absl::StrCat(keyword, ": more than ", kAlternativesMax, " alternatives are not supported"));
  Node node{.kind = NodeKind::kAnyOf};
  for (const SchemaJson& item : list.items) {
    ATOLL_ASSIGN_OR_RETURN(const NodeId child, CompileAt(place.Member(keyword, list).Item(node.children.size(), item)));
    node.children.push_back(child);
  }
  if (keyword == "oneOf") exclusive_.push_back({node.children, place.path});
  return graph_.Add(std::move(node));
}

absl::Status SchemaCompiler::CheckExclusive() {
  for (const Exclusive& exclusive : exclusive_) {
    for (size_t i = 0; i < exclusive.alternatives.size(); ++i) {
      for (size_t k = 0; k < i; ++k) {
        if (Exclude(exclusive.alternatives[k], exclusive.alternatives[i], 0)) continue;
        return absl::UnimplementedError(absl::StrCat(exclusive.path, ": oneOf: a value may satisfy both alternative ", k, " and ", i,
                                                     ", which is not supported; tell them apart by a required property with const, or use anyOf"));
      }
    }
  }
  return absl::OkStatus();
}

// Whether no value is of both. May say false where it cannot tell.
bool SchemaCompiler::Exclude(NodeId a, NodeId b, int depth) {
  if (depth > kExclusiveDepthMax) return false;
  for (const NodeId left_id : graph_.node(a).alternatives) {
    for (const NodeId right_id : graph_.node(b).alternatives) {
      const Node &left = graph_.node(left_id), &right = graph_.node(right_id);
      comparisons_left_ -= static_cast<int64_t>(1 + std::max<size_t>(left.words.size(), 1) * std::max<size_t>(right.words.size(), 1));
      if (comparisons_left_ < 0) return false;
      if (left.kind == NodeKind::kWords ? WordsExclude(left, right) : right.kind == NodeKind::kWords ? WordsExclude(right, left) : ClassOf(left) != ClassOf(right)) continue;
      if (left.kind != NodeKind::kObject || right.kind != NodeKind::kObject || !ObjectsExclude(left, right, depth)) return false;
    }
  }
  return true;
}

bool SchemaCompiler::ObjectsExclude(const Node& a, const Node& b, int depth) {
  comparisons_left_ -= static_cast<int64_t>(a.properties.size() * b.properties.size());
  for (const Property& left : a.properties) {
    for (const Property& right : b.properties) {
      if (left.required && right.required && left.quoted_name == right.quoted_name && Exclude(left.value, right.value, depth + 1)) return true;
    }
  }
  return false;
}

}  // namespace atoll::model::grammar
