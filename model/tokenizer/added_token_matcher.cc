#include "model/tokenizer/added_token_matcher.h"

#include <algorithm>

namespace atoll::model {

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens, bool normalized) {
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized) continue;
    entries_.push_back({token.content, token.id});
    begins_[static_cast<unsigned char>(token.content[0])] = true;
  }
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.content < b.content; });
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::Find(std::string_view text, size_t from) const {
  if (entries_.empty()) return std::nullopt;
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_[static_cast<unsigned char>(text[begin])]) continue;
    if (const std::optional<Match> match = LongestAt(text, begin)) return match;
  }
  return std::nullopt;
}

// Narrows the sorted tokens byte by byte to those that agree with the text; among them the shortest comes first.
std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::LongestAt(std::string_view text, size_t begin) const {
  std::optional<Match> longest;
  auto first = entries_.begin();
  auto last = entries_.end();
  for (size_t length = 0; first != last; ++length) {
    if (first->content.size() == length) {
      longest = Match{begin, length, first->id};
      ++first;
    }
    if (begin + length == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[begin + length]);
    const auto byte_of = [length](const Entry& entry) { return static_cast<unsigned char>(entry.content[length]); };
    first = std::partition_point(first, last, [&](const Entry& entry) { return byte_of(entry) < byte; });
    last = std::partition_point(first, last, [&](const Entry& entry) { return byte_of(entry) == byte; });
  }
  return longest;
}

}  // namespace atoll::model
