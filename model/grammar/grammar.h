#pragma once

// A constraint, compiled. What it takes is a sequence of tokens: ordinary ones by their bytes, control tokens as such.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/grammar/constraint.h"
#include "model/grammar/node.h"

namespace atoll::model::grammar {

// The id of the control token that reads so. Where a model has none for a tag of its tool calls, the tag is text.
using ControlTokens = std::function<std::optional<int32_t>(std::string_view)>;

// Free text until this token, which begins the constrained part (or the next gate).
struct Gate {
  int32_t token = 0;
  bool may_end = false;  // the sequence may end before it
};

// Immutable; any thread may use it.
class Grammar {
 public:
  // INVALID_ARGUMENT or UNIMPLEMENTED (what is fine JSON schema and not supported) name the place in the schema: "$.properties.a".
  static absl::StatusOr<std::shared_ptr<const Grammar>> Compile(const Constraint& constraint, const ControlTokens& control_tokens);

  const Graph& graph() const { return graph_; }
  NodeId root() const { return root_; }
  const std::vector<Gate>& gates() const { return gates_; }
  // Ascending, of the graph.
  const std::vector<int32_t>& controls() const { return controls_; }

 private:
  Graph graph_;
  NodeId root_ = kNoNode;
  std::vector<Gate> gates_;
  std::vector<int32_t> controls_;
};

}  // namespace atoll::model::grammar
