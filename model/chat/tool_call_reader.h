#pragma once

// Calls of tools in a stream of text: what a model writes becomes its content and the calls in it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/grammar/constraint.h"

namespace atoll::model {

// What a stretch of text adds to a call.
struct ToolCallPiece {
  int32_t index = 0;      // of the call, from 0
  std::string name = {};  // where the call begins
  std::string arguments = {};
};

// What a stretch of text is.
struct ToolCallText {
  std::string content;
  std::vector<ToolCallPiece> calls;
};

// Of one choice; owned by one thread at a time. Content and calls depend on the text alone, not on how it was cut into pieces. Text that
// looks like the beginning of a call and is none is content.
class ToolCallReader {
 public:
  explicit ToolCallReader(ToolCallStyle style) : is_v3_(style == ToolCallStyle::kDeepSeekV3) {}

  void Append(std::string_view text, ToolCallText& out);
  // The text is over.
  void Flush(ToolCallText& out);
  int32_t calls() const { return calls_; }

 private:
  enum class State { kContent, kBetween, kType, kName, kArguments, kAfter };

  bool Advance(ToolCallText& out);
  bool ReadContent(ToolCallText& out);
  bool ReadBetween(ToolCallText& out);
  bool ReadType(ToolCallText& out);
  bool ReadName(ToolCallText& out);
  bool ReadArguments(ToolCallText& out);
  bool Open(size_t bytes, State next);
  bool GiveUp(ToolCallText& out);
  void AddArguments(size_t bytes, ToolCallText& out);

  const bool is_v3_;
  State state_ = State::kContent;
  std::string held_;     // not yet anything
  std::string opening_;  // the tags and headers of a call that has not begun
  int32_t calls_ = 0;
};

}  // namespace atoll::model
