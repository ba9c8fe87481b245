#pragma once

// JSON schema to nodes: the subset of docs/structured_output.md; everything else is refused by name.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/grammar/node.h"
#include "model/grammar/schema/schema_json.h"
#include "model/grammar/schema/schema_place.h"

namespace atoll::model::grammar {

// Any JSON value, any JSON object: one pair of nodes for a graph.
struct AnyValue {
  NodeId value = kNoNode;
  NodeId object = kNoNode;
};
absl::StatusOr<AnyValue> AddAnyValue(Graph& graph);

// Of one schema. `graph` and `schema` outlive it.
class SchemaCompiler {
 public:
  SchemaCompiler(const SchemaJson& schema, const AnyValue& any, Graph& graph) : schema_(schema), any_(any), graph_(graph) {}

  // The node of the whole schema. INVALID_ARGUMENT: no schema; UNIMPLEMENTED: not supported. Both begin with the place: "$.items: ".
  absl::StatusOr<NodeId> Compile();

  // After the graph is finished: whether the alternatives of every oneOf exclude each other.
  // UNIMPLEMENTED where it cannot tell, or would take too long to.
  absl::Status CheckExclusive();

 private:
  struct Reference {
    NodeId node;
    std::string pointer;
  };
  struct Exclusive {
    std::vector<NodeId> alternatives;
    std::string path;
  };

  absl::StatusOr<NodeId> CompileAt(const Place& place);
  absl::StatusOr<NodeId> CompileReference(const Place& place);
  absl::StatusOr<NodeId> CompileValues(const Place& place);
  absl::StatusOr<NodeId> CompileAlternatives(const Place& place, const std::string& keyword);
  absl::StatusOr<NodeId> CompileTypes(const Place& place);
  absl::StatusOr<NodeId> CompileType(const Place& place, const std::string& type);
  absl::StatusOr<NodeId> CompileString(const Place& place);
  absl::StatusOr<NodeId> CompileInteger(const Place& place);
  absl::StatusOr<NodeId> CompileNumber(const Place& place);
  absl::StatusOr<NodeId> CompileArray(const Place& place);
  absl::StatusOr<NodeId> CompileObject(const Place& place);
  absl::Status AddProperties(const Place& place, Node& node);
  absl::Status AddRequired(const Place& place, Node& node);
  absl::Status AddAdditional(const Place& place, Node& node);
  absl::Status CompileReferences();
  absl::StatusOr<const SchemaJson*> Follow(const std::string& pointer) const;
  absl::StatusOr<NodeId> OrNull(const Place& place, NodeId node);
  absl::StatusOr<NodeId> AddWords(std::vector<std::string> words);
  bool Exclude(NodeId a, NodeId b, int depth);
  bool ObjectsExclude(const Node& a, const Node& b, int depth);

  const SchemaJson& schema_;
  const AnyValue any_;
  Graph& graph_;
  std::map<std::string, NodeId> references_;  // by pointer
  std::vector<Reference> to_compile_;
  std::vector<Exclusive> exclusive_;
  int64_t comparisons_left_ = 5'000'000;  // of CheckExclusive
};

}  // namespace atoll::model::grammar
