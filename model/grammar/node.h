#pragma once

// A compiled constraint: a graph of nodes over bytes and control tokens. What follows a node is never part of it, so that
// definitions may refer to each other; a position in the graph is a stack of frames (thread.h).

#include <bitset>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace atoll::model::grammar {

using NodeId = uint32_t;

inline constexpr NodeId kNoNode = std::numeric_limits<NodeId>::max();
inline constexpr uint32_t kNoLimit = std::numeric_limits<uint32_t>::max();
inline constexpr int64_t kIntegerMax = 9007199254740991;  // 2^53 - 1: whole in every reader of JSON
inline constexpr int kFramesMax = 40;                     // of one stack: objects and arrays in each other, and the innermost value
inline constexpr size_t kNodesMax = 4096;
inline constexpr size_t kAlternativesMax = 256;  // of one place
inline constexpr size_t kPropertiesMax = 512;    // of one object

enum class NodeKind : uint8_t {
  kString,    // a JSON string of `least` to `most` characters
  kInteger,   // from `lowest` to `highest`
  kNumber,    // not below zero where `lowest` is 0
  kWords,     // one of `words`
  kControl,   // the control token `control`
  kObject,    // `properties` in their order, then any number of others whose values are `additional`
  kArray,     // `least` to `most` times `children[0]`
  kSequence,  // `children` one after the other
  kChoice,    // one of `words`, then the child of the same number
  kAnyOf,     // one of `children`
};

struct Property {
  std::string quoted_name = {};  // as JSON
  NodeId value = kNoNode;
  bool required = false;
};

struct Node {
  NodeKind kind = NodeKind::kAnyOf;
  uint32_t least = 0;
  uint32_t most = kNoLimit;
  int64_t lowest = -kIntegerMax;
  int64_t highest = kIntegerMax;
  int32_t control = -1;
  bool may_begin_blank = false;     // of a sequence: white space before it
  std::vector<std::string> words = {};   // ascending, none twice
  std::vector<NodeId> children = {};
  std::vector<Property> properties = {};
  NodeId additional = kNoNode;

  // Derived by Finish.
  std::vector<uint16_t> by_name = {};        // properties, ascending by quoted name
  std::vector<uint16_t> next_required = {};  // [properties + 1]: the first required property from here on; properties.size(): none
  std::vector<NodeId> alternatives = {};     // what this is in the end: itself, or what a kAnyOf comes to; no kAnyOf among them
  std::bitset<256> first = {};               // bytes that it may begin with
  int frames = 0;                       // it needs at least, to come to its end
};

// Nodes as they are made. Ids stay.
class Graph {
 public:
  // RESOURCE_EXHAUSTED over kNodesMax.
  absl::StatusOr<NodeId> Add(Node node);
  Node& node(NodeId id) { return nodes_[id]; }
  const Node& node(NodeId id) const { return nodes_[id]; }
  size_t size() const { return nodes_.size(); }

  // Derives what is derived. INVALID_ARGUMENT: a node is only a way to itself, or too many alternatives meet in one place, or `root` has no
  // document that fits kFramesMax.
  absl::Status Finish(NodeId root);

 private:
  void DeriveOfObjects();
  absl::Status DeriveAlternatives();
  absl::Status VisitAlternatives(NodeId id, std::vector<uint8_t>& state, int depth);
  void DeriveFirst();
  void DeriveFrames();
  int FramesOf(const Node& node) const;

  std::vector<Node> nodes_;
};

}  // namespace atoll::model::grammar
