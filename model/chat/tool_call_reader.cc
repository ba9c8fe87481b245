#include "model/chat/tool_call_reader.h"

#include <algorithm>

#include "model/grammar/tool_call_tags.h"

namespace atoll::model {
namespace {

constexpr size_t kHeaderBytesMax = 1024;  // a name and its type are never longer

// Bytes at the end of `text` that may be the beginning of `tag`.
size_t BegunAtEnd(std::string_view text, std::string_view tag) {
  for (size_t count = std::min(text.size(), tag.size() - 1); count > 0; --count) {
    if (text.ends_with(tag.substr(0, count))) return count;
  }
  return 0;
}

bool MayBecome(std::string_view text, std::string_view tag) { return text.size() < tag.size() && tag.starts_with(text); }

}  // namespace

void ToolCallReader::Append(std::string_view text, ToolCallText& out) {
  if (state_ == State::kAfter) return;
  held_ += text;
  while (Advance(out)) {
  }
}

void ToolCallReader::Flush(ToolCallText& out) {
  if (state_ == State::kArguments) return AddArguments(held_.size() - (is_v3_ && held_.ends_with(kArgumentsEnd) ? kArgumentsEnd.size() : 0), out);
  if (state_ == State::kAfter || (state_ == State::kBetween && calls_ > 0 && held_.empty())) return;
  GiveUp(out);
}

// False: more text is needed.
bool ToolCallReader::Advance(ToolCallText& out) {
  switch (state_) {
    case State::kContent: return ReadContent(out);
    case State::kBetween: return ReadBetween(out);
    case State::kType: return ReadType(out);
    case State::kName: return ReadName(out);
    case State::kArguments: return ReadArguments(out);
    case State::kAfter: held_.clear(); return false;
  }
  return false;
}

// Takes `bytes` of what opens a call.
bool ToolCallReader::Open(size_t bytes, State next) {
  opening_.append(held_, 0, bytes);
  held_.erase(0, bytes);
  state_ = next;
  return true;
}

// No call after all.
bool ToolCallReader::GiveUp(ToolCallText& out) {
  out.content += opening_ + held_;
  opening_.clear();
  held_.clear();
  state_ = State::kContent;
  return false;
}

bool ToolCallReader::ReadContent(ToolCallText& out) {
  const size_t tag = held_.find(kToolCallsBegin);
  const size_t certain = tag != std::string::npos ? tag : held_.size() - BegunAtEnd(held_, kToolCallsBegin);
  out.content.append(held_, 0, certain);
  held_.erase(0, certain);
  return tag != std::string::npos && Open(kToolCallsBegin.size(), State::kBetween);
}

bool ToolCallReader::ReadBetween(ToolCallText& out) {
  const size_t blanks = std::min(held_.find_first_not_of(" \n"), held_.size());
  const std::string_view rest = std::string_view(held_).substr(blanks);
  if (rest.starts_with(kToolCallBegin)) return Open(blanks + kToolCallBegin.size(), is_v3_ ? State::kType : State::kName);
  if (rest.starts_with(kToolCallsEnd)) return Open(held_.size(), State::kAfter);
  if (MayBecome(rest, kToolCallBegin) || MayBecome(rest, kToolCallsEnd)) return false;
  return GiveUp(out);
}

bool ToolCallReader::ReadType(ToolCallText& out) {
  const size_t separator = held_.find(kToolSeparator);
  if (separator != std::string::npos) return Open(separator + kToolSeparator.size(), State::kName);
  return held_.size() > kHeaderBytesMax && GiveUp(out);
}

bool ToolCallReader::ReadName(ToolCallText& out) {
  const std::string_view after = is_v3_ ? kArgumentsBegin : kToolSeparator;
  const size_t end = held_.find(after);
  if (end == std::string::npos) return held_.size() > kHeaderBytesMax && GiveUp(out);
  out.calls.push_back({.index = calls_++, .name = held_.substr(0, end)});
  opening_.clear();
  held_.erase(0, end + after.size());
  state_ = State::kArguments;
  return true;
}

bool ToolCallReader::ReadArguments(ToolCallText& out) {
  const std::string fence_and_end = std::string(kArgumentsEnd).append(kToolCallEnd);
  const size_t end = held_.find(kToolCallEnd);
  if (end == std::string::npos) {
    const size_t waits = std::max(BegunAtEnd(held_, kToolCallEnd), is_v3_ ? BegunAtEnd(held_, fence_and_end) : 0);
    AddArguments(held_.size() - waits, out);
    return false;
  }
  const bool fenced = is_v3_ && std::string_view(held_).substr(0, end).ends_with(kArgumentsEnd);
  AddArguments(end - (fenced ? kArgumentsEnd.size() : 0), out);
  held_.erase(0, held_.find(kToolCallEnd) + kToolCallEnd.size());
  state_ = State::kBetween;
  return true;
}

void ToolCallReader::AddArguments(size_t bytes, ToolCallText& out) {
  if (bytes == 0) return;
  const int32_t index = calls_ - 1;
  if (out.calls.empty() || out.calls.back().index != index) out.calls.push_back({.index = index});
  out.calls.back().arguments.append(held_, 0, bytes);
  held_.erase(0, bytes);
}

}  // namespace atoll::model
