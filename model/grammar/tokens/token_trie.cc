#include "model/grammar/tokens/token_trie.h"

#include <algorithm>

namespace atoll::model::grammar {
namespace {

size_t SharedBytes(std::string_view a, std::string_view b) {
  const auto [left, right] = std::mismatch(a.begin(), a.begin() + static_cast<int64_t>(std::min(a.size(), b.size())), b.begin());
  return static_cast<size_t>(left - a.begin());
}

}  // namespace

TokenTrie::TokenTrie(std::vector<std::pair<std::string_view, int32_t>> tokens) {
  std::sort(tokens.begin(), tokens.end());
  std::vector<uint32_t> open;  // nodes on the way to the last one
  const auto close_to = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) nodes_[open.back()].end = static_cast<uint32_t>(nodes_.size());
  };
  std::string_view before;
  for (const auto& [bytes, id] : tokens) {
    const size_t shared = SharedBytes(before, bytes);
    close_to(shared);
    for (size_t i = shared; i < bytes.size(); ++i) {
      open.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({.end = 0, .token = -1, .byte = static_cast<uint8_t>(bytes[i]), .depth = static_cast<uint8_t>(i + 1)});
    }
    if (nodes_[open.back()].token < 0) nodes_[open.back()].token = id;
    depth_ = std::max(depth_, bytes.size());
    before = bytes;
  }
  close_to(0);
}

}  // namespace atoll::model::grammar
