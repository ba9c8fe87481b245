#pragma once

// Ids to text one by one: what a stream needs.

#include <cstdint>
#include <string>

#include "model/tokenizer/tokenizer.h"

namespace atoll::model {

// Of one sequence; owned by one thread at a time. Cheap to make: a pointer and at most three bytes.
// The concatenation of all Append results and Flush equals Tokenizer::Decode of the same ids.
class Detokenizer {
 public:
  // `tokenizer` outlives the detokenizer.
  Detokenizer(const Tokenizer& tokenizer, SpecialTokens special) : tokenizer_(&tokenizer), special_(special) {}

  // The text that became certain: whole characters only, bytes of an unfinished one wait. Empty for an id without token.
  std::string Append(int32_t id);

  // The end of the sequence: an unfinished character becomes U+FFFD. The detokenizer is then as new.
  std::string Flush();

 private:
  const Tokenizer* tokenizer_;
  SpecialTokens special_;
  std::string pending_;  // a valid beginning of one character
};

}  // namespace atoll::model
