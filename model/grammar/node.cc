#include "model/grammar/node.h"

#include <algorithm>
#include <numeric>

namespace atoll::model::grammar {
namespace {

constexpr int kNever = kFramesMax + 1;
constexpr int kChainMax = 64;  // definitions that are but names of each other
constexpr uint8_t kUnseen = 0, kOpen = 1, kDone = 2;

std::bitset<256> BytesOf(std::string_view bytes) {
  std::bitset<256> set;
  for (const char byte : bytes) set.set(static_cast<unsigned char>(byte));
  return set;
}

std::bitset<256> FirstOf(const Node& node) {
  switch (node.kind) {
    case NodeKind::kString: return BytesOf("\"");
    case NodeKind::kObject: return BytesOf("{");
    case NodeKind::kArray: return BytesOf("[");
    case NodeKind::kInteger:
    case NodeKind::kNumber: return BytesOf(node.lowest < 0 ? "-0123456789" : "0123456789");
    case NodeKind::kWords:
    case NodeKind::kChoice: {
      std::bitset<256> set;
      for (const std::string& word : node.words) set.set(static_cast<unsigned char>(word[0]));
      return set;
    }
    default: return {};
  }
}

}  // namespace

absl::StatusOr<NodeId> Graph::Add(Node node) {
  if (nodes_.size() >= kNodesMax) return absl::ResourceExhaustedError(absl::StrCat("has more than ", kNodesMax, " parts"));
  nodes_.push_back(std::move(node));
  return static_cast<NodeId>(nodes_.size() - 1);
}

absl::Status Graph::Finish(NodeId root) {
  DeriveOfObjects();
  ATOLL_RETURN_IF_ERROR(DeriveAlternatives());
  DeriveFirst();
  DeriveFrames();
  if (nodes_[root].frames <= kFramesMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("has no document that is nested at most ", kFramesMax, " deep"));
}

void Graph::DeriveOfObjects() {
  for (Node& node : nodes_) {
    const size_t count = node.properties.size();
    node.by_name.resize(count);
    std::iota(node.by_name.begin(), node.by_name.end(), uint16_t{0});
    std::sort(node.by_name.begin(), node.by_name.end(),
              [&](uint16_t a, uint16_t b) { return node.properties[a].quoted_name < node.properties[b].quoted_name; });
    node.next_required.assign(count + 1, static_cast<uint16_t>(count));
    for (size_t i = count; i-- > 0;) node.next_required[i] = node.properties[i].required ? static_cast<uint16_t>(i) : node.next_required[i + 1];
  }
}

absl::Status Graph::DeriveAlternatives() {
  std::vector<uint8_t> state(nodes_.size(), kUnseen);
  for (NodeId id = 0; id < nodes_.size(); ++id) ATOLL_RETURN_IF_ERROR(VisitAlternatives(id, state, 0));
  return absl::OkStatus();
}

// Also follows what a sequence begins with: reading its first byte must come to an end too.
absl::Status Graph::VisitAlternatives(NodeId id, std::vector<uint8_t>& state, int depth) {
  Node& node = nodes_[id];
  if (state[id] == kDone) return absl::OkStatus();
  if (state[id] == kOpen) return absl::InvalidArgumentError("refers to itself with no object or array between");
  if (depth > kChainMax) return absl::InvalidArgumentError(absl::StrCat("has more than ", kChainMax, " references in a chain"));
  state[id] = kOpen;
  if (node.kind == NodeKind::kSequence) ATOLL_RETURN_IF_ERROR(VisitAlternatives(node.children[0], state, depth + 1));
  if (node.kind != NodeKind::kAnyOf) {
    node.alternatives = {id};
  } else if (node.children.size() == 1) {
    ATOLL_RETURN_IF_ERROR(VisitAlternatives(node.children[0], state, depth + 1));
    node.alternatives = nodes_[node.children[0]].alternatives;
  } else {
    for (const NodeId child : node.children) {
      ATOLL_RETURN_IF_ERROR(VisitAlternatives(child, state, depth + 1));
      for (const NodeId leaf : nodes_[child].alternatives) {
        if (std::find(node.alternatives.begin(), node.alternatives.end(), leaf) == node.alternatives.end()) node.alternatives.push_back(leaf);
      }
      if (node.alternatives.size() > kAlternativesMax) return absl::InvalidArgumentError(absl::StrCat("has more than ", kAlternativesMax, " alternatives in one place"));
    }
  }
  state[id] = kDone;
  return absl::OkStatus();
}

// A sequence may begin with a kAnyOf whose alternatives are sequences: as often around as such a chain is long.
void Graph::DeriveFirst() {
  for (Node& node : nodes_) node.first = FirstOf(node);
  for (bool changed = true; changed;) {
    changed = false;
    for (Node& node : nodes_) {
      std::bitset<256> first = node.first;
      if (node.kind == NodeKind::kSequence) first |= nodes_[node.children[0]].first;
      if (node.kind == NodeKind::kSequence && node.may_begin_blank) first |= BytesOf(" \n\t");
      if (node.kind == NodeKind::kAnyOf) {
        for (const NodeId leaf : node.alternatives) first |= nodes_[leaf].first;
      }
      changed |= first != node.first;
      node.first = first;
    }
  }
}

void Graph::DeriveFrames() {
  for (Node& node : nodes_) node.frames = kNever;
  for (bool changed = true; changed;) {
    changed = false;
    for (Node& node : nodes_) {
      const int frames = std::min(FramesOf(node), kNever);
      changed |= frames < node.frames;
      node.frames = std::min(node.frames, frames);
    }
  }
}

int Graph::FramesOf(const Node& node) const {
  int inner = 0;
  switch (node.kind) {
    case NodeKind::kAnyOf:
      inner = kNever;
      for (const NodeId leaf : node.alternatives) inner = std::min(inner, nodes_[leaf].frames);
      return inner;
    case NodeKind::kObject:
      for (const Property& property : node.properties) inner = std::max(inner, property.required ? nodes_[property.value].frames : 0);
      return 1 + inner;
    case NodeKind::kArray: return 1 + (node.least > 0 ? nodes_[node.children[0]].frames : 0);
    case NodeKind::kSequence:
      // The frame of a sequence is given up for its last child.
      for (size_t i = 0; i + 1 < node.children.size(); ++i) inner = std::max(inner, 1 + nodes_[node.children[i]].frames);
      return std::max({1, inner, nodes_[node.children.back()].frames});
    case NodeKind::kChoice:
      // Likewise for the child that a word leads to, whichever it is.
      for (const NodeId child : node.children) inner = std::max(inner, nodes_[child].frames);
      return std::max(1, inner);
    default: return 1;
  }
}

}  // namespace atoll::model::grammar
