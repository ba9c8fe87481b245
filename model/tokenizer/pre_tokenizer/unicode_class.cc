#include "model/tokenizer/pre_tokenizer/unicode_class.h"

#include <algorithm>
#include <iterator>

namespace atoll::model {
namespace {

#include "model/tokenizer/pre_tokenizer/unicode_class_table.inc"

}  // namespace

CharClass ClassOf(uint32_t code_point) {
  const uint32_t block = std::min<uint32_t>(code_point / kBlockLength, std::size(kBlockOf) - 1);
  return static_cast<CharClass>(kBlocks[kBlockOf[block] * kBlockLength + code_point % kBlockLength] - '0');
}

}  // namespace atoll::model
