#pragma once

// A rendered conversation that still knows which of its text the format wrote and which came in a message.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/tokenizer.h"

namespace atoll::model {

struct ChatPiece {
  enum class Origin { kFormat, kMessage };
  Origin origin;
  std::string text;
};

// The rendering holds its own BOS: never encode it as a prompt that gets another one.
class RenderedChat {
 public:
  void AddFormat(std::string_view text) { Add(ChatPiece::Origin::kFormat, text); }
  void AddMessage(std::string_view text) { Add(ChatPiece::Origin::kMessage, text); }

  // What Hugging Face's apply_chat_template prints for the same messages.
  std::string Text() const;

  // kPlainText: no message can bring a control token in. kMatch: ids as Hugging Face encodes Text().
  // Equal wherever no message holds an added token's content. INVALID_ARGUMENT where a message is not UTF-8.
  absl::StatusOr<std::vector<int32_t>> Encode(const Tokenizer& tokenizer, AddedTokens in_messages) const;

  // Neighbours differ in origin; none is empty.
  const std::vector<ChatPiece>& pieces() const { return pieces_; }

 private:
  void Add(ChatPiece::Origin origin, std::string_view text);

  std::vector<ChatPiece> pieces_;
};

}  // namespace atoll::model
