#include "router/inference/served_model.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "model/chat/tool_prompt.h"
#include "model/shard_plan.h"

namespace atoll::router {
namespace {

std::string FolderName(const std::string& directory) {
  std::error_code ignored;
  const std::filesystem::path path = std::filesystem::weakly_canonical(directory, ignored);
  return path.filename().string();
}

std::vector<int32_t> EosIds(const model::Checkpoint& checkpoint) {
  const std::vector<int64_t>& own = checkpoint.generation().eos_token_ids;
  const std::vector<int64_t>& ids = own.empty() ? checkpoint.config().eos_token_ids : own;
  return {ids.begin(), ids.end()};
}

int64_t TokenBytesMax(const model::Tokenizer& tokenizer) {
  size_t longest = 1;
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) longest = std::max(longest, tokenizer.TokenBytes(id).size());
  return static_cast<int64_t>(longest);
}

}  // namespace

ServedModel::ServedModel(std::string name, std::unique_ptr<model::Checkpoint> checkpoint, model::FolderTokenizer tokenizer)
    : name_(std::move(name)),
      checkpoint_(std::move(checkpoint)),
      tokenizer_(std::move(tokenizer)),
      chat_(absl::FailedPreconditionError("the model folder has no tokenizer, so no chat format either")),
      eos_ids_(EosIds(*checkpoint_)) {
  if (tokenizer_.tokenizer() == nullptr) return;
  chat_ = model::ChatFormatOf(tokenizer_.tokenizer()->config());
  token_bytes_max_ = TokenBytesMax(*tokenizer_.tokenizer());
  tool_call_style_ = model::StyleOfTemplate(tokenizer_.tokenizer()->config().chat_template.value_or(""));
}

absl::StatusOr<ServedModel> ServedModel::Load(const std::string& directory, std::string name, const std::string& tool_call_parser) {
  ATOLL_ASSIGN_OR_RETURN(std::unique_ptr<model::Checkpoint> checkpoint, model::Checkpoint::Open(directory));
  const model::TokenizerLimits limits{.ids_max = checkpoint->config().vocab_size};
  ATOLL_ASSIGN_OR_RETURN(model::FolderTokenizer tokenizer, model::FolderTokenizer::Load(directory, limits));
  if (name.empty()) name = FolderName(directory);
  ServedModel model(std::move(name), std::move(checkpoint), std::move(tokenizer));
  if (tool_call_parser == "deepseek_v3") model.tool_call_style_ = model::ToolCallStyle::kDeepSeekV3;
  if (tool_call_parser == "deepseek_v31") model.tool_call_style_ = model::ToolCallStyle::kDeepSeekV31;
  return model;
}

ExpertsToPlace ServedModel::experts() const {
  return {.config = &checkpoint_->config(), .with_mtp = checkpoint_->has_mtp(), .expert_bytes = model::ExpertBytes(checkpoint_->config())};
}

absl::StatusOr<const model::ChatFormat*> ServedModel::ForChat() const {
  if (!chat_.ok()) return chat_.status();
  return chat_->get();
}

}  // namespace atoll::router
