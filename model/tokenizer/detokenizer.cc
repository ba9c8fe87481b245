#include "model/tokenizer/detokenizer.h"

#include <utility>

#include "base/utf8.h"

namespace atoll::model {

std::string Detokenizer::Append(int32_t id) {
  if (special_ == SpecialTokens::kSkip && tokenizer_->IsSpecial(id)) return {};
  pending_ += tokenizer_->TokenBytes(id);
  std::string text;
  const size_t unfinished = AppendReplacingInvalid(pending_, text);
  pending_.erase(0, pending_.size() - unfinished);
  return text;
}

std::string Detokenizer::Flush() {
  return std::exchange(pending_, {}).empty() ? std::string() : std::string(kReplacementCharacter);
}

}  // namespace atoll::model
