#include "router/request/stop_matcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>

namespace atoll::router {
namespace {

struct Result {
  std::string text;
  bool stopped = false;
  friend bool operator==(const Result&, const Result&) = default;
};

// The whole text at once, the slow way: the match that ends first, the longest of those.
Result Reference(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
      if (stop.size() <= end && text.compare(end - stop.size(), stop.size(), stop) == 0) longest = std::max(longest, stop.size());
    }
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

Result Stream(const std::vector<std::string>& pieces, const std::vector<std::string>& stops) {
  StopMatcher matcher(stops);
  Result result;
  for (const std::string& piece : pieces) {
    if (matcher.Append(piece, result.text)) {
      result.stopped = true;
      return result;
    }
  }
  matcher.Flush(result.text);
  return result;
}

TEST(StopMatcher, EndsBeforeTheMatch) {
  EXPECT_EQ(Stream({"one, two. ", "three"}, {"two"}), (Result{"one, ", true}));
  EXPECT_EQ(Stream({"one, t", "w", "o. three"}, {"two"}), (Result{"one, ", true}));
  EXPECT_EQ(Stream({"stop"}, {"stop"}), (Result{"", true}));
  EXPECT_EQ(Stream({"ab"}, {"abc", "b"}), (Result{"a", true}));
  EXPECT_EQ(Stream({"a\n", "\nb"}, {"\n\n"}), (Result{"a", true}));
}

TEST(StopMatcher, ReleasesWhatCanNoLongerMatch) {
  StopMatcher matcher({"hello!"});
  std::string released;
  EXPECT_FALSE(matcher.Append("say hel", released));
  EXPECT_EQ(released, "say ");
  EXPECT_FALSE(matcher.Append("hello", released));
  EXPECT_EQ(released, "say hel");
  EXPECT_FALSE(matcher.Append("?", released));
  EXPECT_EQ(released, "say helhello?");
  EXPECT_FALSE(matcher.Append("he", released));
  matcher.Flush(released);
  EXPECT_EQ(released, "say helhello?he");
}

TEST(StopMatcher, WithoutStopStringsPassesEverything) {
  EXPECT_EQ(Stream({"a", "", "b"}, {}), (Result{"ab", false}));
}

// Random texts over two letters, cut at random: the outcome is the reference's, however the text is cut.
TEST(StopMatcher, EqualsTheReferenceHoweverTheTextIsCut) {
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    std::mt19937 random(seed);
    const auto word = [&](size_t length_max) {
      std::string text(1 + random() % length_max, 'a');
      for (char& c : text) c = "ab"[random() % 2];
      return text;
    };
    const std::string text = word(40);
    std::vector<std::string> stops(random() % 4);
    for (std::string& stop : stops) stop = word(7);
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size();) {
      const size_t length = 1 + random() % 6;
      pieces.push_back(text.substr(at, length));
      at += length;
    }
    ASSERT_EQ(Stream(pieces, stops), Reference(text, stops)) << "seed " << seed << " text " << text;
  }
}

}  // namespace
}  // namespace atoll::router
