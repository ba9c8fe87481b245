#include "model/grammar/tool_grammar.h"

#include <algorithm>
#include <numeric>

#include "model/grammar/tool_call_tags.h"

namespace atoll::model::grammar {
namespace {

class ToolCallsBuilder {
 public:
  ToolCallsBuilder(const ToolCallsOnly& calls, const ControlTokens& control_tokens, Graph& graph)
      : calls_(calls), is_v3_(calls.style == ToolCallStyle::kDeepSeekV3), control_tokens_(control_tokens), graph_(graph) {}

  absl::StatusOr<NodeId> Build(const std::vector<NodeId>& arguments, bool opened) {
    ATOLL_ASSIGN_OR_RETURN(const NodeId call, Call(arguments));
    ATOLL_ASSIGN_OR_RETURN(const NodeId rest, Rest(call));
    std::vector<NodeId> parts{call, rest};
    if (!opened) {
      ATOLL_ASSIGN_OR_RETURN(const NodeId open, Tag(kToolCallsBegin));
      parts.insert(parts.begin(), open);
    }
    return Sequence(std::move(parts));
  }

 private:
  absl::StatusOr<NodeId> Text(std::string_view text) { return graph_.Add({.kind = NodeKind::kWords, .words = {std::string(text)}}); }

  absl::StatusOr<NodeId> Tag(std::string_view text) {
    const std::optional<int32_t> control = control_tokens_(text);
    return control ? graph_.Add({.kind = NodeKind::kControl, .control = *control}) : Text(text);
  }

  absl::StatusOr<NodeId> Sequence(std::vector<NodeId> parts) { return graph_.Add({.kind = NodeKind::kSequence, .children = std::move(parts)}); }

  // Names lead to what follows them, in the order of the names.
  absl::StatusOr<NodeId> Names(const std::vector<NodeId>& arguments) {
    std::vector<size_t> order(calls_.tools.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return calls_.tools[a].name < calls_.tools[b].name; });
    ATOLL_ASSIGN_OR_RETURN(const NodeId before, is_v3_ ? Text(kArgumentsBegin) : Tag(kToolSeparator));
    ATOLL_ASSIGN_OR_RETURN(const NodeId after, is_v3_ ? Text(kArgumentsEnd) : Tag(kToolCallEnd));
    Node names{.kind = NodeKind::kChoice};
    for (const size_t i : order) {
      ATOLL_ASSIGN_OR_RETURN(const NodeId tail, Sequence({before, arguments[i], after}));
      names.words.push_back(calls_.tools[i].name);
      names.children.push_back(tail);
    }
    return graph_.Add(std::move(names));
  }

  absl::StatusOr<NodeId> Call(const std::vector<NodeId>& arguments) {
    ATOLL_ASSIGN_OR_RETURN(const NodeId begin, Tag(kToolCallBegin));
    ATOLL_ASSIGN_OR_RETURN(const NodeId names, Names(arguments));
    if (!is_v3_) return Sequence({begin, names});
    ATOLL_ASSIGN_OR_RETURN(const NodeId type, Text(kToolCallType));
    ATOLL_ASSIGN_OR_RETURN(const NodeId separator, Tag(kToolSeparator));
    ATOLL_ASSIGN_OR_RETURN(const NodeId end, Tag(kToolCallEnd));
    return Sequence({begin, type, separator, names, end});
  }

  // The end, or another call and the same again.
  absl::StatusOr<NodeId> Rest(NodeId call) {
    ATOLL_ASSIGN_OR_RETURN(const NodeId close, Tag(kToolCallsEnd));
    if (!calls_.several) return close;
    ATOLL_ASSIGN_OR_RETURN(const NodeId rest, graph_.Add({.kind = NodeKind::kAnyOf}));
    std::vector<NodeId> again{call, rest};
    if (is_v3_) {
      ATOLL_ASSIGN_OR_RETURN(const NodeId line, Text("\n"));
      again.insert(again.begin(), line);
    }
    ATOLL_ASSIGN_OR_RETURN(const NodeId more, Sequence(std::move(again)));
    graph_.node(rest).children = {close, more};
    return rest;
  }

  const ToolCallsOnly& calls_;
  const bool is_v3_;
  const ControlTokens& control_tokens_;
  Graph& graph_;
};

}  // namespace

absl::Status CheckTools(const std::vector<ToolSignature>& tools) {
  if (tools.empty() || tools.size() > kToolsMax) return absl::InvalidArgumentError(absl::StrCat("tools: expected 1 to ", kToolsMax, ", found ", tools.size()));
  std::vector<std::string_view> names;
  for (const ToolSignature& tool : tools) {
    if (tool.name.empty() || tool.name.size() > kToolNameBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat("tools: expected a name of 1 to ", kToolNameBytesMax, " bytes, found ", tool.name.size()));
    }
    names.push_back(tool.name);
  }
  size_t bytes = 0;
  for (const ToolSignature& tool : tools) bytes += tool.parameters.size();
  if (bytes > kToolBytesMax) return absl::InvalidArgumentError(absl::StrCat("tools: expected schemas of at most ", kToolBytesMax, " bytes in all, found ", bytes));
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("tools: the name ", std::string(*twice), " comes twice"));
}

absl::StatusOr<NodeId> AddToolCalls(const ToolCallsOnly& calls, const std::vector<NodeId>& arguments, bool opened, const ControlTokens& control_tokens,
                                    Graph& graph) {
  return ToolCallsBuilder(calls, control_tokens, graph).Build(arguments, opened);
}

}  // namespace atoll::model::grammar
