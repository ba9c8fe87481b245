#include "model/tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <random>

#include "model/tokenizer/json/tokenizer_json.h"
#include "tests/tokenizer/test_tokenizers.h"

namespace atoll::model {
namespace {

using Ids = std::vector<int32_t>;

const TokenizerDefinition& TalesDefinition() {
  static const TokenizerDefinition definition = *ParseTokenizerJson(ReadFile(TalesDirectory() / "tokenizer.json"), {});
  return definition;
}

// The definition of byte-pair encoding, merge by merge.
Ids ByDefinition(const TokenizerDefinition& definition, std::string_view piece) {
  Ids ids;
  for (const char byte : piece) ids.push_back(definition.byte_ids[static_cast<unsigned char>(byte)]);
  while (true) {
    size_t best_rank = definition.merges.size();
    size_t best_at = 0;
    for (size_t at = 0; at + 1 < ids.size(); ++at) {
      for (size_t rank = 0; rank < best_rank; ++rank) {
        if (definition.merges[rank].left != ids[at] || definition.merges[rank].right != ids[at + 1]) continue;
        best_rank = rank;
        best_at = at;
      }
    }
    if (best_rank == definition.merges.size()) return ids;
    ids[best_at] = definition.merges[best_rank].result;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best_at) + 1);
  }
}

// A few merges that compete: of equal pairs the leftmost counts, and a low rank may appear only after another merge.
TokenizerDefinition CompetingMerges() {
  TokenizerDefinition definition;
  for (int byte = 0; byte < 256; ++byte) {
    definition.token_bytes.push_back(std::string(1, static_cast<char>(byte)));
    definition.byte_ids[static_cast<size_t>(byte)] = byte;
  }
  const auto merge = [&](int32_t left, int32_t right) {
    const auto result = static_cast<int32_t>(definition.token_bytes.size());
    definition.token_bytes.push_back(definition.token_bytes[static_cast<size_t>(left)] + definition.token_bytes[static_cast<size_t>(right)]);
    definition.merges.push_back({left, right, result});
  };
  const int32_t aa = 256, ab = 257, ba = 258, aaa = 259;
  merge('a', 'a');
  merge('a', 'b');
  merge('b', 'a');
  merge(aa, 'a');
  merge(ab, ba);
  merge(aaa, ab);
  merge(ba, aa);
  return definition;
}

TEST(Bpe, EveryWayGivesTheDefinitionsIds) {
  const TokenizerDefinition definition = CompetingMerges();
  const Bpe bpe(definition);
  std::mt19937 random(5);
  for (int i = 0; i < 3000; ++i) {
    std::string piece;
    for (size_t length = 1 + random() % 120; length > 0; --length) piece += "aabc"[random() % 4];  // short and long form
    Ids ids;
    bpe.Encode(piece, ids);
    ASSERT_EQ(ids, ByDefinition(definition, piece)) << piece;
  }
}

TEST(Bpe, TalesPiecesGiveTheDefinitionsIds) {
  const Bpe bpe(TalesDefinition());
  std::mt19937 random(6);
  for (int i = 0; i < 60; ++i) {
    std::string piece = " ";
    for (size_t length = random() % 70; length > 0; --length) piece += "etaoinshrd"[random() % 10];
    Ids ids;
    bpe.Encode(piece, ids);
    ASSERT_EQ(ids, ByDefinition(TalesDefinition(), piece)) << piece;
  }
}

TEST(Bpe, AppendsToWhatIsThere) {
  const TokenizerDefinition definition = CompetingMerges();
  Ids ids = {7};
  Bpe(definition).Encode("aa", ids);
  EXPECT_EQ(ids, (Ids{7, 256}));
}

}  // namespace
}  // namespace atoll::model
