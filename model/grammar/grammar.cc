#include "model/grammar/grammar.h"

#include <algorithm>
#include <deque>

#include "model/grammar/schema/schema_compiler.h"
#include "model/grammar/tool_call_tags.h"
#include "model/grammar/tool_grammar.h"

namespace atoll::model::grammar {
namespace {

absl::Status About(const std::string& what, const absl::Status& status) {
  return status.ok() ? status : absl::Status(status.code(), absl::StrCat(what, status.message()));
}

// The schemas of one constraint, in one graph.
class SchemaSet {
 public:
  explicit SchemaSet(Graph& graph) : graph_(graph) {}

  absl::StatusOr<AnyValue> Any() {
    if (any_.value == kNoNode) {
      ATOLL_ASSIGN_OR_RETURN(any_, AddAnyValue(graph_));
    }
    return any_;
  }

  absl::StatusOr<NodeId> Add(const std::string& text) {
    ATOLL_ASSIGN_OR_RETURN(const AnyValue any, Any());
    ATOLL_ASSIGN_OR_RETURN(SchemaJson schema, ParseSchemaJson(text));
    texts_.push_back(std::move(schema));
    compilers_.emplace_back(texts_.back(), any, graph_);
    return compilers_.back().Compile();
  }

  absl::Status CheckExclusive() {
    for (SchemaCompiler& compiler : compilers_) ATOLL_RETURN_IF_ERROR(compiler.CheckExclusive());
    return absl::OkStatus();
  }

 private:
  Graph& graph_;
  AnyValue any_;
  std::deque<SchemaJson> texts_;  // whose addresses the compilers keep
  std::deque<SchemaCompiler> compilers_;
};

absl::StatusOr<std::vector<NodeId>> AddArguments(const std::vector<ToolSignature>& tools, SchemaSet& schemas) {
  std::vector<NodeId> arguments;
  for (const ToolSignature& tool : tools) {
    ATOLL_ASSIGN_OR_RETURN(const AnyValue any, schemas.Any());
    absl::StatusOr<NodeId> node = tool.parameters.empty() ? any.object : schemas.Add(tool.parameters);
    if (!node.ok()) return About(absl::StrCat("parameters of the tool ", tool.name, ": "), node.status());
    arguments.push_back(*node);
  }
  return arguments;
}

absl::Status CheckArguments(const std::vector<ToolSignature>& tools, const std::vector<NodeId>& arguments, const Graph& graph) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    for (const NodeId leaf : graph.node(arguments[i]).alternatives) {
      if (graph.node(leaf).kind == NodeKind::kObject) continue;
      return absl::InvalidArgumentError(absl::StrCat("parameters of the tool ", tools[i].name, ": expected the schema of an object"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int32_t> GateToken(std::string_view tag, const ControlTokens& control_tokens) {
  const std::optional<int32_t> token = control_tokens(tag);
  if (token) return *token;
  return absl::UnimplementedError(absl::StrCat("the model's tokenizer has no token ", std::string(tag), ", at which the constraint would begin"));
}

struct Document {
  NodeId node = kNoNode;
  std::vector<NodeId> arguments;  // of tools, in their order
};

absl::StatusOr<Document> AddDocument(const Constraint& constraint, const ControlTokens& control_tokens, SchemaSet& schemas, Graph& graph) {
  Document document;
  if (const auto* schema = std::get_if<JsonSchema>(&constraint.kind)) {
    ATOLL_ASSIGN_OR_RETURN(document.node, schemas.Add(schema->text));
  } else if (const auto* calls = std::get_if<ToolCallsOnly>(&constraint.kind)) {
    ATOLL_RETURN_IF_ERROR(CheckTools(calls->tools));
    ATOLL_ASSIGN_OR_RETURN(document.arguments, AddArguments(calls->tools, schemas));
    ATOLL_ASSIGN_OR_RETURN(document.node, AddToolCalls(*calls, document.arguments, calls->optional, control_tokens, graph));
  } else {
    ATOLL_ASSIGN_OR_RETURN(const AnyValue any, schemas.Any());
    document.node = any.object;
  }
  return document;
}

absl::StatusOr<std::vector<Gate>> GatesOf(const Constraint& constraint, const ControlTokens& control_tokens) {
  std::vector<Gate> gates;
  if (constraint.after_thinking) {
    ATOLL_ASSIGN_OR_RETURN(const int32_t token, GateToken(kThinkingEnd, control_tokens));
    gates.push_back({.token = token, .may_end = false});
  }
  const auto* calls = std::get_if<ToolCallsOnly>(&constraint.kind);
  if (calls != nullptr && calls->optional) {
    ATOLL_ASSIGN_OR_RETURN(const int32_t token, GateToken(kToolCallsBegin, control_tokens));
    gates.push_back({.token = token, .may_end = true});
  }
  return gates;
}

std::vector<int32_t> ControlsOf(const Graph& graph) {
  std::vector<int32_t> controls;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.node(id).kind == NodeKind::kControl) controls.push_back(graph.node(id).control);
  }
  std::sort(controls.begin(), controls.end());
  controls.erase(std::unique(controls.begin(), controls.end()), controls.end());
  return controls;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Grammar>> Grammar::Compile(const Constraint& constraint, const ControlTokens& control_tokens) {
  auto grammar = std::make_shared<Grammar>();
  Graph& graph = grammar->graph_;
  SchemaSet schemas(graph);
  ATOLL_ASSIGN_OR_RETURN(grammar->gates_, GatesOf(constraint, control_tokens));
  ATOLL_ASSIGN_OR_RETURN(const Document document, AddDocument(constraint, control_tokens, schemas, graph));
  Node root{.kind = NodeKind::kSequence, .may_begin_blank = constraint.after_thinking, .children = {document.node}};
  ATOLL_ASSIGN_OR_RETURN(grammar->root_, graph.Add(std::move(root)));
  ATOLL_RETURN_IF_ERROR(About("$ ", graph.Finish(grammar->root_)));
  ATOLL_RETURN_IF_ERROR(schemas.CheckExclusive());
  if (const auto* calls = std::get_if<ToolCallsOnly>(&constraint.kind)) ATOLL_RETURN_IF_ERROR(CheckArguments(calls->tools, document.arguments, graph));
  grammar->controls_ = ControlsOf(graph);
  return std::shared_ptr<const Grammar>(std::move(grammar));
}

}  // namespace atoll::model::grammar
