// What a constrained row costs: masks over a vocabulary, made anew and looked up, at places that schemas come to.
//   mask_bench MODEL_DIR

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "model/grammar/matcher.h"
#include "model/grammar/tokens/token_masks.h"
#include "model/grammar/tokens/vocabulary.h"
#include "model/tokenizer/folder_tokenizer.h"

namespace atoll::model::grammar {
namespace {

constexpr char kSchema[] =
    R"({"type":"object","properties":{"name":{"type":"string"},"short":{"type":"string","maxLength":20},"age":{"type":"integer","minimum":0,"maximum":150},"any":{},"kind":{"enum":["fox","hen","goose"]}},"required":["name","short","age","any","kind"],"additionalProperties":{"type":"boolean"}})";

struct Place {
  const char* name;
  const char* text;
};

constexpr Place kPlaces[] = {
    {"at the beginning", ""},
    {"at a key", "{\""},
    {"before a value", "{\"name\":"},
    {"inside a string", "{\"name\":\"Rey"},
    {"inside an escape", "{\"name\":\"Rey\\"},
    {"inside a character", "{\"name\":\"Rey\xE4"},
    {"inside a short string", "{\"name\":\"\",\"short\":\"abcdefghijkl"},
    {"inside a number", "{\"name\":\"\",\"short\":\"\",\"age\":1"},
    {"before any value", "{\"name\":\"\",\"short\":\"\",\"age\":1,\"any\":"},
    {"inside any object", "{\"name\":\"\",\"short\":\"\",\"age\":1,\"any\":{\"x\":[[{\"y\":\"z"},
    {"inside another key", "{\"name\":\"\",\"short\":\"\",\"age\":1,\"any\":1,\"kind\":\"fox\",\"o"},
};

template <typename Work>
double BestUs(int runs, Work work) {
  double best = 1e12;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

void Measure(const Place& place, const Grammar& grammar, const Vocabulary& vocabulary) {
  Matcher matcher(grammar);
  if (!matcher.TakeBytes(place.text)) return (void)std::fprintf(stderr, "%s is not taken\n", place.text);
  TokenMasks masks(vocabulary);
  TokenMask mask(vocabulary.mask_words());
  const double made_us = BestUs(15, [&] { mask = masks.Make(grammar, matcher.threads()[0]); });
  const double found_us = BestUs(50, [&] { masks.Fill(matcher, 1, {}, mask); });
  int allowed = 0;
  for (const uint64_t word : mask) allowed += __builtin_popcountll(word);
  std::printf("%-24s made_us %8.1f found_us %6.2f allowed %6d\n", place.name, made_us, found_us, allowed);
}

int Run(const char* model_directory) {
  const auto folder = FolderTokenizer::Load(model_directory, {});
  const absl::StatusOr<const Tokenizer*> tokenizer = folder.ok() ? folder->ForText() : folder.status();
  if (!tokenizer.ok()) return std::fprintf(stderr, "%s\n", std::string(tokenizer.status().message()).c_str()), 1;
  absl::StatusOr<Vocabulary> vocabulary = absl::InternalError("not made");
  const double made_ms = BestUs(1, [&] { vocabulary = Vocabulary::Make(TokensOf(**tokenizer)); }) / 1000;
  if (!vocabulary.ok()) return std::fprintf(stderr, "%s\n", std::string(vocabulary.status().message()).c_str()), 1;
  std::printf("vocabulary: %zu ids, made in %.0f ms, %zu nodes, %zu of irregular tokens\n", vocabulary->size(), made_ms, vocabulary->all().nodes().size(),
              vocabulary->irregular().nodes().size());
  absl::StatusOr<std::shared_ptr<const Grammar>> grammar = absl::InternalError("not compiled");
  const double compiled_us = BestUs(15, [&] { grammar = Grammar::Compile({.kind = JsonSchema{kSchema}}, vocabulary->control_tokens()); });
  if (!grammar.ok()) return std::fprintf(stderr, "%s\n", std::string(grammar.status().message()).c_str()), 1;
  std::printf("a schema of %zu bytes compiled in %.0f us\n", sizeof kSchema - 1, compiled_us);
  for (const Place& place : kPlaces) Measure(place, **grammar, *vocabulary);
  return 0;
}

}  // namespace
}  // namespace atoll::model::grammar

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: mask_bench MODEL_DIR\n"), 2;
  return atoll::model::grammar::Run(argv[1]);
}
