#pragma once

// What a sequence's text has to be, as a client asked for it. Plain values.

#include <string>
#include <variant>
#include <vector>

namespace atoll::model {

// Any JSON object.
struct JsonObject {
  friend bool operator==(const JsonObject&, const JsonObject&) = default;
};

// A document that is valid under a JSON schema.
struct JsonSchema {
  std::string text;  // the schema, JSON
  friend bool operator==(const JsonSchema&, const JsonSchema&) = default;
};

// How a model writes that it calls a tool.
enum class ToolCallStyle {
  kDeepSeekV3,   // V3, R1: function, name and arguments in a fence
  kDeepSeekV31,  // V3.1: name and arguments
};

struct ToolSignature {
  std::string name;
  std::string parameters;  // JSON schema of the arguments; empty: any object
  friend bool operator==(const ToolSignature&, const ToolSignature&) = default;
};

struct ToolCallsOnly {
  ToolCallStyle style = ToolCallStyle::kDeepSeekV3;
  std::vector<ToolSignature> tools;
  bool several = true;    // more than one call may follow
  bool optional = false;  // free text, in which the model may begin calls; else calls alone
  friend bool operator==(const ToolCallsOnly&, const ToolCallsOnly&) = default;
};

struct Constraint {
  std::variant<JsonObject, JsonSchema, ToolCallsOnly> kind = {};
  bool after_thinking = false;  // the prompt ends inside the model's thinking: the constraint begins after its end
  friend bool operator==(const Constraint&, const Constraint&) = default;
};

}  // namespace atoll::model
