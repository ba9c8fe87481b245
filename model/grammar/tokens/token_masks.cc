#include "model/grammar/tokens/token_masks.h"

#include <algorithm>
#include <type_traits>

#include "model/grammar/step.h"

namespace atoll::model::grammar {
namespace {

// Every token of `trie` that is taken from `thread` on.
void Walk(const Graph& graph, const Thread& thread, const TokenTrie& trie, TokenMask& mask) {
  std::vector<std::vector<Thread>> readings(trie.depth() + 1);  // by bytes
  readings[0].push_back(thread);
  const std::vector<TokenTrie::Node>& nodes = trie.nodes();
  for (size_t i = 0; i < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    std::vector<Thread>& after = readings[node.depth];
    after.clear();
    for (const Thread& reading : readings[node.depth - size_t{1}]) StepByte(graph, reading, node.byte, after);
    if (after.empty()) {
      i = node.end;
      continue;
    }
    if (node.token >= 0) SetToken(node.token, mask);
    ++i;
  }
}

}  // namespace

TokenMask TokenMasks::Make(const Grammar& grammar, const Thread& thread) const {
  TokenMask mask(vocabulary_.mask_words());
  const Graph& graph = grammar.graph();
  if (thread.empty()) return mask;
  uint32_t characters = 0;
  const Surroundings around{.graph = &graph, .room = kFramesMax - thread.depth()};
  if (TakesPlainText(graph.node(thread.top().node), thread.top(), around, &characters)) {
    vocabulary_.AddPlain(characters, mask);
    Walk(graph, thread, vocabulary_.irregular(), mask);
  } else {
    Walk(graph, thread, vocabulary_.all(), mask);
  }
  std::vector<Thread> after;
  for (const int32_t control : grammar.controls()) {
    after.clear();
    StepControl(graph, thread, control, after);
    if (!after.empty()) SetToken(control, mask);
  }
  return mask;
}

std::string TokenMasks::KeyOf(const Grammar& grammar, uint64_t number, const Thread& thread) const {
  static_assert(std::has_unique_object_representations_v<Frame>);
  std::string key(reinterpret_cast<const char*>(&number), sizeof number);
  for (int i = 0; i < thread.depth(); ++i) {
    const Frame frame = WithoutFarCounts(grammar.graph().node(thread.frame(i).node), thread.frame(i), kTokenBytesMax);
    key.append(reinterpret_cast<const char*>(&frame), sizeof frame);
  }
  return key;
}

std::shared_ptr<const TokenMask> TokenMasks::Of(const Grammar& grammar, uint64_t number, const Thread& thread) {
  const std::string key = KeyOf(grammar, number, thread);
  {
    std::lock_guard lock(mutex_);
    if (const auto found = young_.find(key); found != young_.end()) return found->second;
    if (const auto found = old_.find(key); found != old_.end()) return KeepLocked(key, found->second);
  }
  auto made = std::make_shared<const TokenMask>(Make(grammar, thread));
  std::lock_guard lock(mutex_);
  return KeepLocked(key, std::move(made));
}

std::shared_ptr<const TokenMask> TokenMasks::KeepLocked(const std::string& key, std::shared_ptr<const TokenMask> mask) {
  if (young_.size() >= kMasksKept) old_ = std::exchange(young_, {});
  return young_[key] = std::move(mask);
}

void TokenMasks::Fill(const Matcher& matcher, uint64_t number, std::span<const int32_t> ends, TokenMask& mask) {
  std::fill(mask.begin(), mask.end(), 0);
  for (const Thread& thread : matcher.threads()) {
    const std::shared_ptr<const TokenMask> one = Of(matcher.grammar(), number, thread);
    for (size_t i = 0; i < mask.size(); ++i) mask[i] |= (*one)[i];
  }
  if (!matcher.complete()) return;
  for (const int32_t end : ends) {
    if (static_cast<size_t>(end) < vocabulary_.size()) SetToken(end, mask);
  }
}

}  // namespace atoll::model::grammar
