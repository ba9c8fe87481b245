#pragma once

// A document as a model without sense would write it: token by token, any of those that the mask lets through.

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "model/grammar/matcher.h"
#include "model/grammar/tokens/token_masks.h"
#include "model/grammar/tokens/vocabulary.h"

namespace atoll::model::grammar {

// Of the bundled checkpoint, loaded once.
const Vocabulary& TalesVocabulary();
// All single bytes, some pairs that cross borders of JSON, and the control tokens of tool calls.
const Vocabulary& SmallVocabulary();

std::shared_ptr<const Grammar> CompileOrDie(const Constraint& constraint, const Vocabulary& vocabulary);
std::shared_ptr<const Grammar> CompileSchema(const std::string& schema, const Vocabulary& vocabulary);

struct WrittenDocument {
  std::string text;  // with control tokens' contents
  std::vector<int32_t> tokens;
  bool complete = false;    // else: tokens_max were not enough
  std::string stuck = "";   // where no token went on
};

// `each` is called before every token with the matcher and the mask.
using Each = std::function<void(const Matcher& matcher, const TokenMask& mask)>;
WrittenDocument Write(const Grammar& grammar, const Vocabulary& vocabulary, uint64_t seed, int tokens_max, const Each& each = {});

}  // namespace atoll::model::grammar
