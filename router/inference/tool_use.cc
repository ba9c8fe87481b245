#include "router/inference/tool_use.h"

#include <algorithm>

#include "model/grammar/tool_call_tags.h"
#include "router/request/validation.h"

namespace atoll::router {
namespace {

absl::StatusOr<model::ToolSignature> SignatureOf(const model::Tool& tool, const model::grammar::ControlTokens& control_tokens) {
  model::ToolSignature signature{tool.name, tool.parameters};
  if (tool.parameters.empty() || tool.strict) return signature;
  const model::ToolCallsOnly alone{.style = {}, .tools = {signature}};
  const absl::Status status = model::grammar::Grammar::Compile({.kind = alone}, control_tokens).status();
  if (absl::IsInvalidArgument(status)) return InvalidField("tools", std::string(status.message()));
  if (!status.ok()) signature.parameters.clear();
  return signature;
}

}  // namespace

absl::StatusOr<std::optional<model::Constraint>> ConstraintOfTools(const ToolUse& use, model::ToolCallStyle style,
                                                                   const model::grammar::ControlTokens& control_tokens) {
  if (!use.offered()) return std::optional<model::Constraint>();
  model::ToolCallsOnly calls{.style = style, .tools = {}, .several = use.parallel, .optional = use.choice == ToolChoice::kAuto};
  // Where calls do not begin with a token, nothing tells in time that one has begun.
  if (calls.optional && !control_tokens(model::kToolCallsBegin)) return std::optional<model::Constraint>();
  for (const model::Tool& tool : use.tools) {
    if (use.choice == ToolChoice::kNamed && tool.name != use.named) continue;
    ATOLL_ASSIGN_OR_RETURN(model::ToolSignature signature, SignatureOf(tool, control_tokens));
    calls.tools.push_back(std::move(signature));
  }
  if (use.choice == ToolChoice::kNamed) calls.several = false;
  if (calls.tools.empty()) return InvalidField("tool_choice", "names a tool that is not among the tools");
  return std::optional(model::Constraint{.kind = std::move(calls)});
}

}  // namespace atoll::router
