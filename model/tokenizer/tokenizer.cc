#include "model/tokenizer/tokenizer.h"

#include <utility>

#include "base/utf8.h"
#include "model/tokenizer/added_token_matcher.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/pre_tokenizer/pre_tokenizer.h"

namespace atoll::model {
namespace {

constexpr size_t kTextBytesMax = size_t{256} << 20;  // far above any context; positions inside a piece are 32 bits wide

}  // namespace

struct Tokenizer::Parts {
  Parts(TokenizerDefinition checked, TokenizerConfig settings)
      : definition(std::move(checked)),
        config(std::move(settings)),
        bpe(definition),
        plain_matcher(definition.added_tokens, false),
        normalized_matcher(definition.added_tokens, true) {
    is_special.resize(definition.token_bytes.size());
    for (const AddedToken& token : definition.added_tokens) {
      is_special[static_cast<size_t>(token.id)] = token.special;
      added_ids.emplace(token.content, token.id);
    }
    if (config.bos_token) bos_id = AddedId(*config.bos_token);
    if (config.eos_token) eos_id = AddedId(*config.eos_token);
  }

  std::optional<int32_t> AddedId(std::string_view content) const {
    const auto found = added_ids.find(content);
    return found == added_ids.end() ? std::nullopt : std::optional(found->second);
  }

  void EncodePlain(std::string_view text, std::vector<int32_t>& ids) const {
    PieceReader reader(text);
    while (const std::optional<std::string_view> piece = reader.Next()) bpe.Encode(*piece, ids);
  }

  // Cuts `text` at the matches of one kind of added tokens; `between` gets what is left.
  template <typename Between>
  static void CutAt(const AddedTokenMatcher& matcher, std::string_view text, std::vector<TextStretch>& stretches, Between between) {
    size_t at = 0;
    while (const std::optional<AddedTokenMatcher::Match> match = matcher.Find(text, at)) {
      if (match->begin > at) between(text.substr(at, match->begin - at));
      stretches.push_back({text.substr(match->begin, match->length), match->id});
      at = match->begin + match->length;
    }
    if (at < text.size()) between(text.substr(at));
  }

  std::vector<TextStretch> Cut(std::string_view text) const {
    std::vector<TextStretch> stretches;
    CutAt(plain_matcher, text, stretches, [&](std::string_view rest) {
      CutAt(normalized_matcher, rest, stretches, [&](std::string_view plain) { stretches.push_back({plain, std::nullopt}); });
    });
    return stretches;
  }

  void EncodeMatching(std::string_view text, std::vector<int32_t>& ids) const {
    for (const TextStretch& stretch : Cut(text)) {
      stretch.added_token ? ids.push_back(*stretch.added_token) : EncodePlain(stretch.text, ids);
    }
  }

  const TokenizerDefinition definition;
  const TokenizerConfig config;
  const Bpe bpe;
  const AddedTokenMatcher plain_matcher;
  const AddedTokenMatcher normalized_matcher;
  std::vector<bool> is_special;
  absl::flat_hash_map<std::string_view, int32_t> added_ids;
  std::optional<int32_t> bos_id;
  std::optional<int32_t> eos_id;
};

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::FromJson(std::string_view tokenizer_json, TokenizerConfig config,
                                                                     const TokenizerLimits& limits) {
  ATOLL_ASSIGN_OR_RETURN(TokenizerDefinition definition, ParseTokenizerJson(tokenizer_json, limits));
  auto parts = std::make_unique<const Parts>(std::move(definition), std::move(config));
  for (const auto& [key, content, id] : {std::tuple("bos_token", parts->config.bos_token, parts->bos_id),
                                         std::tuple("eos_token", parts->config.eos_token, parts->eos_id)}) {
    if (!content || id) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("tokenizer_config.json: ", key, ": expected an added token of tokenizer.json, found \"", *content, "\""));
  }
  return std::unique_ptr<const Tokenizer>(new Tokenizer(std::move(parts)));
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(std::string_view text, AddedTokens added_tokens) const {
  if (text.size() > kTextBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("text: expected at most ", kTextBytesMax, " bytes, found ", text.size()));
  }
  if (const size_t invalid = FirstInvalidUtf8(text); invalid != text.size()) {
    return absl::InvalidArgumentError(absl::StrCat("text: expected UTF-8, found none at byte ", invalid));
  }
  std::vector<int32_t> ids;
  added_tokens == AddedTokens::kMatch ? parts_->EncodeMatching(text, ids) : parts_->EncodePlain(text, ids);
  return ids;
}

std::vector<TextStretch> Tokenizer::CutAtAddedTokens(std::string_view text) const { return parts_->Cut(text); }

absl::StatusOr<std::vector<int32_t>> Tokenizer::EncodePrompt(std::string_view text) const {
  ATOLL_ASSIGN_OR_RETURN(std::vector<int32_t> ids, Encode(text, AddedTokens::kMatch));
  if (add_bos()) ids.insert(ids.begin(), *bos_id());
  return ids;
}

absl::StatusOr<std::string> Tokenizer::Decode(std::span<const int32_t> ids, SpecialTokens special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (!HasToken(id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("token id: expected 0 to ", vocabulary_size() - 1, ", found ", id));
    }
    if (special == SpecialTokens::kKeep || !IsSpecial(id)) bytes += TokenBytes(id);
  }
  std::string text;
  if (AppendReplacingInvalid(bytes, text) > 0) text += kReplacementCharacter;
  return text;
}

int32_t Tokenizer::vocabulary_size() const { return static_cast<int32_t>(parts_->definition.token_bytes.size()); }

bool Tokenizer::IsSpecial(int32_t id) const { return HasToken(id) && parts_->is_special[static_cast<size_t>(id)]; }

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  return HasToken(id) ? std::string_view(parts_->definition.token_bytes[static_cast<size_t>(id)]) : std::string_view();
}

std::optional<int32_t> Tokenizer::IdOf(std::string_view bytes) const { return parts_->AddedId(bytes); }

std::optional<int32_t> Tokenizer::bos_id() const { return parts_->bos_id; }
std::optional<int32_t> Tokenizer::eos_id() const { return parts_->eos_id; }
const TokenizerConfig& Tokenizer::config() const { return parts_->config; }

}  // namespace atoll::model
