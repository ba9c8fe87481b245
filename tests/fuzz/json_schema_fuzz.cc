// JSON schemas: any bytes are refused or compiled, in bounded time; what is compiled never comes to a place where no byte goes on, and a
// mask is what the automaton takes.

#include <array>

#include "base/check.h"
#include "model/grammar/matcher.h"
#include "model/grammar/tokens/token_masks.h"
#include "model/grammar/tokens/vocabulary.h"

namespace {

using namespace atoll::model;           // NOLINT
using namespace atoll::model::grammar;  // NOLINT

const Vocabulary& Bytes() {
  static const Vocabulary vocabulary = [] {
    TokenList tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.bytes.emplace_back(1, static_cast<char>(byte));
    for (const char* text : {"\":", "\",\"", "}}", "null", "10", "ab\"", "\\u"}) tokens.bytes.emplace_back(text);
    auto made = Vocabulary::Make(std::move(tokens));
    ATOLL_CHECK(made.ok(), made.status().ToString());
    return *std::move(made);
  }();
  return vocabulary;
}

// Some forty tokens, chosen by the input's bytes among those of the masks.
void Write(const Grammar& grammar, const uint8_t* data, size_t size) {
  TokenMasks masks(Bytes());
  Matcher matcher(grammar);
  TokenMask mask(Bytes().mask_words());
  for (size_t step = 0; step < 40 && !matcher.finished(); ++step) {
    masks.Fill(matcher, 1, {}, mask);
    int32_t chosen = -1;
    const int32_t count = static_cast<int32_t>(Bytes().size()), from = data[step % size] * 7 % count;
    for (int32_t i = 0; i < count && chosen < 0; ++i) {
      const int32_t id = (from + i) % count;
      if (HasToken(id, mask)) chosen = id;
    }
    ATOLL_CHECK(chosen >= 0 || matcher.complete(), "no token goes on");
    if (chosen < 0) return;
    ATOLL_CHECK(matcher.TakeBytes(Bytes().BytesOf(chosen)), "a token of the mask is not taken");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string schema(reinterpret_cast<const char*>(data), size);
  const auto grammar = Grammar::Compile({.kind = JsonSchema{schema}}, Bytes().control_tokens());
  if (grammar.ok()) Write(**grammar, data, size);
  return 0;
}
