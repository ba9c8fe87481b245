// Any bytes as a text for the bundled checkpoint's tokenizer: refused, or the ids give the text back, as a whole and as a stream.
// The same bytes, two by two, as ids: the stream's text is the whole's.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "model/tokenizer/detokenizer.h"
#include "model/tokenizer/folder_tokenizer.h"

namespace atoll::model {
namespace {

const Tokenizer& Tales() {
  static const auto folder = FolderTokenizer::Load(std::filesystem::path(ATOLL_SOURCE_DIR) / "checkpoints/tales", {});
  ATOLL_CHECK(folder.ok(), std::string(folder.status().message()));
  return *folder->tokenizer();
}

void CheckStream(const std::vector<int32_t>& ids) {
  for (const SpecialTokens special : {SpecialTokens::kKeep, SpecialTokens::kSkip}) {
    Detokenizer detokenizer(Tales(), special);
    std::string text;
    for (const int32_t id : ids) text += detokenizer.Append(id);
    text += detokenizer.Flush();
    ATOLL_CHECK(text == *Tales().Decode(ids, special), "the stream differs from the whole");
  }
}

void CheckText(std::string_view text) {
  for (const AddedTokens added : {AddedTokens::kMatch, AddedTokens::kPlainText}) {
    const auto ids = Tales().Encode(text, added);
    ATOLL_CHECK(ids.ok() == (FirstInvalidUtf8(text) == text.size()), "exactly UTF-8 is accepted");
    if (!ids.ok()) return;
    ATOLL_CHECK(*Tales().Decode(*ids, SpecialTokens::kKeep) == text, "the text does not come back");
    CheckStream(*ids);
    for (const int32_t id : *ids) {
      const bool is_added = Tales().IdOf(Tales().TokenBytes(id)) == id;
      ATOLL_CHECK(added == AddedTokens::kMatch || !is_added, "plain text became an added token");
    }
  }
}

}  // namespace
}  // namespace atoll::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace atoll::model;
  CheckText(std::string_view(reinterpret_cast<const char*>(data), size));
  std::vector<int32_t> ids;
  for (size_t i = 0; i + 1 < size; i += 2) ids.push_back((data[i] << 8 | data[i + 1]) % Tales().vocabulary_size());
  CheckStream(ids);
  return 0;
}
