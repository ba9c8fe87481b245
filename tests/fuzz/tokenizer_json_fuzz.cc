// Any bytes as tokenizer.json: refused or loaded, never a crash; a tokenizer that loads gives every text back.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "model/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace atoll::model;
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = Tokenizer::FromJson(json, {}, {});
  if (!tokenizer.ok()) return 0;
  for (const std::string_view text : {"", "the cat sat, 1234 times\n\n  on", "<think>aaaa\xE4\xB8\xAD", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    for (const AddedTokens added : {AddedTokens::kMatch, AddedTokens::kPlainText}) {
      const auto ids = (*tokenizer)->Encode(text, added);
      ATOLL_CHECK(ids.ok(), std::string(ids.status().message()));
      ATOLL_CHECK(*(*tokenizer)->Decode(*ids, SpecialTokens::kKeep) == text, "the text does not come back");
    }
  }
  return 0;
}
