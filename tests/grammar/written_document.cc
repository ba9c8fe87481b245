#include "tests/grammar/written_document.h"

#include "base/check.h"
#include "model/grammar/tool_call_tags.h"
#include "model/tokenizer/folder_tokenizer.h"

namespace atoll::model::grammar {
namespace {

constexpr int32_t kEnd = -1;

Vocabulary MadeOf(TokenList tokens) {
  auto vocabulary = Vocabulary::Make(std::move(tokens));
  ATOLL_CHECK(vocabulary.ok(), vocabulary.status().ToString());
  return *std::move(vocabulary);
}

// Ends are as likely as going on: what closes something is preferred now and then, or strings would never end.
int32_t Choose(const TokenMask& mask, const Vocabulary& vocabulary, bool may_end, std::mt19937_64& random) {
  std::vector<int32_t> any, closing;
  for (int32_t id = 0; id < static_cast<int32_t>(vocabulary.size()); ++id) {
    if (!HasToken(id, mask)) continue;
    any.push_back(id);
    if (vocabulary.BytesOf(id).find_first_of("\"]}") != std::string_view::npos) closing.push_back(id);
  }
  if (may_end && (any.empty() || random() % 2 == 0)) return kEnd;
  if (any.empty()) return kEnd;
  const std::vector<int32_t>& from = !closing.empty() && random() % 3 == 0 ? closing : any;
  return from[random() % from.size()];
}

}  // namespace

const Vocabulary& TalesVocabulary() {
  static const Vocabulary vocabulary = [] {
    const auto tokenizer = FolderTokenizer::Load(std::string(ATOLL_SOURCE_DIR) + "/checkpoints/tales", {.ids_max = 4096});
    ATOLL_CHECK(tokenizer.ok(), tokenizer.status().ToString());
    return MadeOf(TokensOf(*tokenizer->tokenizer()));
  }();
  return vocabulary;
}

const Vocabulary& SmallVocabulary() {
  static const Vocabulary vocabulary = [] {
    TokenList tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.bytes.emplace_back(1, static_cast<char>(byte));
    for (const char* text : {"\",", "\": ", "\":", "{\"", "},", "}]", "[{", "\"}", "\"]", ", \"", "true", "12", "1,", "0.", "\\u00", "\xC3\xA9", "\xE2\x82", "ab", "abcabcabc"}) {
      tokens.bytes.emplace_back(text);
    }
    for (const std::string_view tag : {kToolCallsBegin, kToolCallsEnd, kToolCallBegin, kToolCallEnd, kToolSeparator, kThinkingEnd}) {
      tokens.control_ids.emplace(tag, static_cast<int32_t>(tokens.bytes.size()));
      tokens.bytes.emplace_back();
    }
    return MadeOf(std::move(tokens));
  }();
  return vocabulary;
}

std::shared_ptr<const Grammar> CompileOrDie(const Constraint& constraint, const Vocabulary& vocabulary) {
  auto grammar = Grammar::Compile(constraint, vocabulary.control_tokens());
  ATOLL_CHECK(grammar.ok(), grammar.status().ToString());
  return *std::move(grammar);
}

std::shared_ptr<const Grammar> CompileSchema(const std::string& schema, const Vocabulary& vocabulary) {
  return CompileOrDie({.kind = JsonSchema{schema}}, vocabulary);
}

WrittenDocument Write(const Grammar& grammar, const Vocabulary& vocabulary, uint64_t seed, int tokens_max, const Each& each) {
  std::mt19937_64 random(seed);
  TokenMasks masks(vocabulary);
  Matcher matcher(grammar);
  TokenMask mask(vocabulary.mask_words());
  WrittenDocument document;
  while (static_cast<int>(document.tokens.size()) < tokens_max && !matcher.finished()) {
    masks.Fill(matcher, 1, {}, mask);
    if (each) each(matcher, mask);
    const int32_t token = Choose(mask, vocabulary, matcher.complete(), random);
    if (token == kEnd) {
      if (!matcher.complete()) document.stuck = "no token after " + document.text;
      break;
    }
    const bool control = vocabulary.IsControl(token);
    const bool taken = control ? matcher.TakeControl(token) : matcher.TakeBytes(vocabulary.BytesOf(token));
    ATOLL_CHECK(taken, "token " + std::to_string(token) + " is in the mask and not taken after " + document.text);
    document.tokens.push_back(token);
    document.text += control ? "<" + std::to_string(token) + ">" : std::string(vocabulary.BytesOf(token));
  }
  document.complete = matcher.complete();
  return document;
}

}  // namespace atoll::model::grammar
