#pragma once

// Stop strings in a stream of text: what comes before a match is released as soon as it can no longer be part of one.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace atoll::router {

// Of one choice; owned by one thread at a time. The result depends on the text alone, not on how it was cut into pieces:
// the match that is complete first wins, of several that end together the longest.
class StopMatcher {
 public:
  explicit StopMatcher(const std::vector<std::string>& stops);

  // Appends to `released` what is certain to come before any match. True when a stop string is complete: all text
  // before it has then been released, and nothing may follow.
  bool Append(std::string_view text, std::string& released);

  // The stop string that was complete.
  const std::string& match() const { return match_; }

  // Releases what was held back: the sequence has ended without a match.
  void Flush(std::string& released);

 private:
  // Knuth, Morris and Pratt's automaton of one stop string.
  struct Pattern {
    std::string text;
    std::vector<int32_t> fallback;  // [length]: longest proper prefix of text[0..i] that is also its suffix
    int32_t matched = 0;            // bytes of `text` that the stream ends with
  };
  static Pattern MakePattern(const std::string& text);
  static bool Advance(Pattern& pattern, char c);

  std::vector<Pattern> patterns_;
  std::string held_;
  std::string match_;
};

}  // namespace atoll::router
