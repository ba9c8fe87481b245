#pragma once

// The form in which a model calls tools, as nodes. Internal to model/grammar/.

#include "base/status.h"
#include "model/grammar/constraint.h"
#include "model/grammar/grammar.h"
#include "model/grammar/node.h"

namespace atoll::model::grammar {

inline constexpr size_t kToolsMax = 128;
inline constexpr size_t kToolNameBytesMax = 128;
inline constexpr size_t kToolBytesMax = 256 << 10;  // of all schemas together

// The calls, without the tag that opens them where `opened`. `arguments`: the nodes of the tools' arguments, in the tools' order.
absl::StatusOr<NodeId> AddToolCalls(const ToolCallsOnly& calls, const std::vector<NodeId>& arguments, bool opened, const ControlTokens& control_tokens,
                                    Graph& graph);

// INVALID_ARGUMENT: no tools, too many, a name that is none or comes twice.
absl::Status CheckTools(const std::vector<ToolSignature>& tools);

}  // namespace atoll::model::grammar
