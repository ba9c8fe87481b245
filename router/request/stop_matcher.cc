#include "router/request/stop_matcher.h"

#include <algorithm>

namespace atoll::router {

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) patterns_.push_back(MakePattern(stop));
}

StopMatcher::Pattern StopMatcher::MakePattern(const std::string& text) {
  Pattern pattern{.text = text, .fallback = std::vector<int32_t>(text.size(), 0), .matched = 0};
  int32_t length = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    while (length > 0 && text[i] != text[length]) length = pattern.fallback[length - 1];
    if (text[i] == text[length]) ++length;
    pattern.fallback[i] = length;
  }
  return pattern;
}

bool StopMatcher::Advance(Pattern& pattern, char c) {
  while (pattern.matched > 0 && pattern.text[pattern.matched] != c) pattern.matched = pattern.fallback[pattern.matched - 1];
  if (pattern.text[pattern.matched] == c) ++pattern.matched;
  return pattern.matched == static_cast<int32_t>(pattern.text.size());
}

bool StopMatcher::Append(std::string_view text, std::string& released) {
  if (patterns_.empty()) {
    released.append(text);
    return false;
  }
  for (const char c : text) {
    held_.push_back(c);
    size_t match = 0;
    size_t possible = 0;
    for (Pattern& pattern : patterns_) {
      if (Advance(pattern, c)) match = std::max(match, pattern.text.size());
      possible = std::max(possible, static_cast<size_t>(pattern.matched));
    }
    // Without a match, the last `possible` bytes may still become one; what lies before them cannot.
    const size_t certain = held_.size() - (match > 0 ? match : possible);
    released.append(held_, 0, certain);
    held_.erase(0, certain);
    if (match > 0) {
      match_ = held_;
      held_.clear();
      return true;
    }
  }
  return false;
}

void StopMatcher::Flush(std::string& released) {
  released.append(held_);
  held_.clear();
  for (Pattern& pattern : patterns_) pattern.matched = 0;
}

}  // namespace atoll::router
