#pragma once

// The tokenizer of a checkpoint folder, or the reason why it has none.

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "model/tokenizer/tokenizer.h"

namespace atoll::model {

// Value that shares nothing; move-only; const use from any thread.
class FolderTokenizer {
 public:
  // tokenizer.json: full. No tokenizer file, or a tiktoken file only: the folder is served by token ids alone.
  // tokenizer_config.json with neither tokenizer.json nor a tiktoken file: FAILED_PRECONDITION, by name.
  // A tokenizer.json that FromJson refuses: INVALID_ARGUMENT with the file's name. No config.json is needed.
  static absl::StatusOr<FolderTokenizer> Load(const std::filesystem::path& directory, const TokenizerLimits& limits);

  // Null where the folder is served by token ids alone.
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }

  // For a request that brings or wants text: FAILED_PRECONDITION with the reason where there is no tokenizer.
  absl::StatusOr<const Tokenizer*> ForText() const;

 private:
  FolderTokenizer(std::unique_ptr<const Tokenizer> tokenizer, std::string why_ids_alone)
      : tokenizer_(std::move(tokenizer)), why_ids_alone_(std::move(why_ids_alone)) {}

  std::unique_ptr<const Tokenizer> tokenizer_;
  std::string why_ids_alone_;  // empty where there is a tokenizer
};

}  // namespace atoll::model
