#pragma once

// Tokens by their bytes, as a tree in preorder: one walk from front to back visits every beginning of a token once, and
// leaves out what begins with bytes that are refused.

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace atoll::model::grammar {

inline constexpr size_t kTokenBytesMax = 255;  // a longer token is never chosen under a constraint

// Immutable.
class TokenTrie {
 public:
  struct Node {
    uint32_t end = 0;     // the node after all that begin with this one
    int32_t token = -1;   // that ends here
    uint8_t byte = 0;
    uint8_t depth = 0;    // bytes up to here
  };

  TokenTrie() = default;
  // Bytes of 1 to kTokenBytesMax each, with their ids. Of tokens with the same bytes the lowest id counts.
  explicit TokenTrie(std::vector<std::pair<std::string_view, int32_t>> tokens);

  const std::vector<Node>& nodes() const { return nodes_; }
  size_t depth() const { return depth_; }

 private:
  std::vector<Node> nodes_;
  size_t depth_ = 0;
};

}  // namespace atoll::model::grammar
