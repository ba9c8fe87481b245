#pragma once

// Byte-level BPE with DeepSeek-V3's pre-tokenizer: text to token ids and back.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/json/tokenizer_config.h"
#include "model/tokenizer/json/tokenizer_json.h"

namespace atoll::model {

// What an added token's content inside a text means: the control token (as Hugging Face does), or plain text that can
// never become one (what callers want for text that a user wrote).
enum class AddedTokens { kMatch, kPlainText };

enum class SpecialTokens { kKeep, kSkip };

// A stretch of a text: an added token, or what lies between two of them.
struct TextStretch {
  std::string_view text;
  std::optional<int32_t> added_token;
};

// Immutable; any thread may call it.
class Tokenizer {
 public:
  // The texts of the two files. INVALID_ARGUMENT names what is unknown or inconsistent: only DeepSeek-V3's component
  // set is accepted; duplicate ids, gaps, ids at or above limits.ids_max and merges of unknown tokens are refused.
  static absl::StatusOr<std::unique_ptr<const Tokenizer>> FromJson(std::string_view tokenizer_json, TokenizerConfig config,
                                                                   const TokenizerLimits& limits);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // Adds no BOS. INVALID_ARGUMENT where `text` is not UTF-8 (the first bad byte's offset is named), so that
  // Decode(Encode(text)) == text for every text that is accepted. Time is linear in the text, stack depth constant.
  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text, AddedTokens added_tokens) const;

  // As Encode with AddedTokens::kMatch, BOS in front if tokenizer_config.json says add_bos_token.
  absl::StatusOr<std::vector<int32_t>> EncodePrompt(std::string_view text) const;

  // Where AddedTokens::kMatch finds added tokens; the stretches together are the text.
  std::vector<TextStretch> CutAtAddedTokens(std::string_view text) const;

  // Bytes that are not UTF-8 become U+FFFD, one for each maximal invalid part. INVALID_ARGUMENT for an id without token.
  absl::StatusOr<std::string> Decode(std::span<const int32_t> ids, SpecialTokens special) const;

  // Rows of the model's padded vocabulary at and above this id have no token: they are masked at sampling.
  int32_t vocabulary_size() const;
  bool HasToken(int32_t id) const { return id >= 0 && id < vocabulary_size(); }
  bool IsSpecial(int32_t id) const;            // false for an id without token
  std::string_view TokenBytes(int32_t id) const;  // raw bytes, perhaps part of a character; empty for an id without token
  std::optional<int32_t> IdOf(std::string_view content) const;  // of the added token that reads so

  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  bool add_bos() const { return config().add_bos; }
  const TokenizerConfig& config() const;

 private:
  struct Parts;
  explicit Tokenizer(std::unique_ptr<const Parts> parts);

  std::unique_ptr<const Parts> parts_;
};

}  // namespace atoll::model
