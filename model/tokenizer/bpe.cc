#include "model/tokenizer/bpe.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

namespace atoll::model {
namespace {

constexpr size_t kShortBytesMax = 48;  // up to here scanning all pairs is faster than a queue
constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();
constexpr int32_t kNone = -1;

uint64_t PairKey(int32_t left, int32_t right) { return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right); }

}  // namespace

// The symbols of a long piece as a linked list over its byte positions. A symbol that was merged into its left neighbour has
// the id kNone.
struct Bpe::Symbols {
  std::vector<int32_t> ids;
  std::vector<int32_t> previous;
  std::vector<int32_t> next;

  Symbols(std::string_view piece, const std::array<int32_t, 256>& byte_ids)
      : ids(piece.size()), previous(piece.size()), next(piece.size()) {
    const auto count = static_cast<int32_t>(piece.size());
    for (int32_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      ids[at] = byte_ids[static_cast<unsigned char>(piece[at])];
      previous[at] = i - 1;
      next[at] = i + 1 < count ? i + 1 : kNone;
    }
  }

  // The symbol at `left` takes its right neighbour in.
  void Join(int32_t left, int32_t result) {
    const int32_t right = next[static_cast<size_t>(left)];
    const int32_t after = next[static_cast<size_t>(right)];
    ids[static_cast<size_t>(left)] = result;
    ids[static_cast<size_t>(right)] = kNone;
    next[static_cast<size_t>(left)] = after;
    if (after != kNone) previous[static_cast<size_t>(after)] = left;
  }
};

Bpe::Bpe(const TokenizerDefinition& definition) : definition_(definition) {
  ranks_.reserve(definition.merges.size());
  for (size_t rank = 0; rank < definition.merges.size(); ++rank) {
    const Merge& merge = definition.merges[rank];
    ranks_.emplace(PairKey(merge.left, merge.right), static_cast<uint32_t>(rank));
  }
  std::vector<int32_t> ids;
  for (const Merge& merge : definition.merges) {
    const std::string& bytes = definition.token_bytes[static_cast<size_t>(merge.result)];
    ids.clear();
    bytes.size() <= kShortBytesMax ? EncodeShort(bytes, ids) : EncodeLong(bytes, ids);
    if (ids.size() == 1 && ids[0] == merge.result) whole_tokens_.emplace(bytes, merge.result);
  }
}

uint32_t Bpe::RankOf(int32_t left, int32_t right) const {
  const auto found = ranks_.find(PairKey(left, right));
  return found == ranks_.end() ? kNoRank : found->second;
}

void Bpe::Encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (piece.size() == 1) {
    ids.push_back(definition_.byte_ids[static_cast<unsigned char>(piece[0])]);
  } else if (const auto whole = whole_tokens_.find(piece); whole != whole_tokens_.end()) {
    ids.push_back(whole->second);
  } else if (piece.size() <= kShortBytesMax) {
    EncodeShort(piece, ids);
  } else {
    EncodeLong(piece, ids);
  }
}

void Bpe::EncodeShort(std::string_view piece, std::vector<int32_t>& ids) const {
  std::array<int32_t, kShortBytesMax> symbols;
  std::array<uint32_t, kShortBytesMax> ranks;  // of the pair that begins here; the last symbol has none
  size_t count = piece.size();
  for (size_t i = 0; i < count; ++i) symbols[i] = definition_.byte_ids[static_cast<unsigned char>(piece[i])];
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = RankOf(symbols[i], symbols[i + 1]);
  while (count > 1) {
    const auto best = static_cast<size_t>(std::min_element(ranks.data(), ranks.data() + count - 1) - ranks.data());
    if (ranks[best] == kNoRank) break;
    symbols[best] = definition_.merges[ranks[best]].result;
    --count;
    for (size_t i = best + 1; i < count; ++i) symbols[i] = symbols[i + 1];
    for (size_t i = best + 1; i + 1 < count; ++i) ranks[i] = ranks[i + 1];
    if (best > 0) ranks[best - 1] = RankOf(symbols[best - 1], symbols[best]);
    if (best + 1 < count) ranks[best] = RankOf(symbols[best], symbols[best + 1]);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.begin() + static_cast<ptrdiff_t>(count));
}

void Bpe::EncodeLong(std::string_view piece, std::vector<int32_t>& ids) const {
  // Candidates are never taken out of the queue when their pair goes away: whoever pops one checks that it still stands.
  using Candidate = std::pair<uint32_t, int32_t>;  // rank, position of the left symbol
  std::vector<Candidate> candidates;
  Symbols symbols(piece, definition_.byte_ids);
  const auto rank_at = [&](int32_t left) {
    const int32_t right = symbols.next[static_cast<size_t>(left)];
    if (right == kNone) return kNoRank;
    return RankOf(symbols.ids[static_cast<size_t>(left)], symbols.ids[static_cast<size_t>(right)]);
  };
  for (int32_t i = 0; i + 1 < static_cast<int32_t>(piece.size()); ++i) {
    if (const uint32_t rank = rank_at(i); rank != kNoRank) candidates.emplace_back(rank, i);
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>(), std::move(candidates));
  const auto enqueue = [&](int32_t left) {
    if (left == kNone) return;
    if (const uint32_t rank = rank_at(left); rank != kNoRank) queue.emplace(rank, left);
  };
  while (!queue.empty()) {
    const auto [rank, left] = queue.top();
    queue.pop();
    if (symbols.ids[static_cast<size_t>(left)] == kNone || rank_at(left) != rank) continue;
    symbols.Join(left, definition_.merges[rank].result);
    enqueue(symbols.previous[static_cast<size_t>(left)]);
    enqueue(left);
  }
  for (int32_t i = 0; i != kNone; i = symbols.next[static_cast<size_t>(i)]) ids.push_back(symbols.ids[static_cast<size_t>(i)]);
}

}  // namespace atoll::model
