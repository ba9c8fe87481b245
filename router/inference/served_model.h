#pragma once

// The model folder as the router needs it: shape, fingerprint, tokenizer, chat format, defaults. No weight is read.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/chat/chat_format.h"
#include "model/grammar/constraint.h"
#include "model/checkpoint.h"
#include "model/tokenizer/folder_tokenizer.h"
#include "router/placement/experts_to_place.h"

namespace atoll::router {

// Immutable after Load; any thread may use it.
class ServedModel {
 public:
  // `name` is what clients call it; empty: the folder's own name. `tool_call_parser`: auto (as the chat template has it), deepseek_v3 or
  // deepseek_v31. Errors say which file is wrong.
  static absl::StatusOr<ServedModel> Load(const std::string& directory, std::string name, const std::string& tool_call_parser = "auto");

  const std::string& name() const { return name_; }
  const std::string& directory() const { return checkpoint_->dir(); }
  const model::ModelConfig& config() const { return checkpoint_->config(); }
  const model::GenerationConfig& generation() const { return checkpoint_->generation(); }
  uint64_t fingerprint() const { return checkpoint_->fingerprint(); }
  ExpertsToPlace experts() const;

  const model::Tokenizer* tokenizer() const { return tokenizer_.tokenizer(); }  // null: token ids alone
  // FAILED_PRECONDITION with the reason where there is none.
  absl::StatusOr<const model::Tokenizer*> ForText() const { return tokenizer_.ForText(); }
  absl::StatusOr<const model::ChatFormat*> ForChat() const;

  // How it writes that it calls a tool.
  model::ToolCallStyle tool_call_style() const { return tool_call_style_; }

  // generation_config.json's, else config.json's.
  const std::vector<int32_t>& eos_ids() const { return eos_ids_; }
  // Bytes that one token stands for at most.
  int64_t token_bytes_max() const { return token_bytes_max_; }

 private:
  ServedModel(std::string name, std::unique_ptr<model::Checkpoint> checkpoint, model::FolderTokenizer tokenizer);

  std::string name_;
  std::unique_ptr<model::Checkpoint> checkpoint_;
  model::FolderTokenizer tokenizer_;
  absl::StatusOr<std::unique_ptr<const model::ChatFormat>> chat_;
  std::vector<int32_t> eos_ids_;
  int64_t token_bytes_max_ = 1;
  model::ToolCallStyle tool_call_style_ = model::ToolCallStyle::kDeepSeekV31;
};

}  // namespace atoll::router
