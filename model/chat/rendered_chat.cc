#include "model/chat/rendered_chat.h"

#include <optional>

namespace atoll::model {
namespace {

// Plain text grows until a control token of the format ends it: the words on the two sides of a border between format and
// message are cut as one text, as they would be in the whole.
class SafeEncoder {
 public:
  explicit SafeEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  absl::Status AddFormat(std::string_view text) {
    for (const TextStretch& stretch : tokenizer_.CutAtAddedTokens(text)) {
      if (!stretch.added_token) {
        plain_ += stretch.text;
        continue;
      }
      ATOLL_RETURN_IF_ERROR(EncodePlain());
      ids_.push_back(*stretch.added_token);
    }
    return absl::OkStatus();
  }

  void AddMessage(std::string_view text) { plain_ += text; }

  absl::StatusOr<std::vector<int32_t>> Finish() {
    ATOLL_RETURN_IF_ERROR(EncodePlain());
    return std::move(ids_);
  }

 private:
  absl::Status EncodePlain() {
    ATOLL_ASSIGN_OR_RETURN(const std::vector<int32_t> encoded, tokenizer_.Encode(plain_, AddedTokens::kPlainText));
    ids_.insert(ids_.end(), encoded.begin(), encoded.end());
    plain_.clear();
    return absl::OkStatus();
  }

  const Tokenizer& tokenizer_;
  std::vector<int32_t> ids_;
  std::string plain_;
};

}  // namespace

void RenderedChat::Add(ChatPiece::Origin origin, std::string_view text) {
  if (text.empty()) return;
  if (pieces_.empty() || pieces_.back().origin != origin) pieces_.push_back({origin, {}});
  pieces_.back().text += text;
}

std::string RenderedChat::Text() const {
  std::string text;
  for (const ChatPiece& piece : pieces_) text += piece.text;
  return text;
}

absl::StatusOr<std::vector<int32_t>> RenderedChat::Encode(const Tokenizer& tokenizer, AddedTokens in_messages) const {
  if (in_messages == AddedTokens::kMatch) return tokenizer.Encode(Text(), AddedTokens::kMatch);
  SafeEncoder encoder(tokenizer);
  for (const ChatPiece& piece : pieces_) {
    if (piece.origin == ChatPiece::Origin::kMessage) {
      encoder.AddMessage(piece.text);
    } else {
      ATOLL_RETURN_IF_ERROR(encoder.AddFormat(piece.text));
    }
  }
  return encoder.Finish();
}

}  // namespace atoll::model
