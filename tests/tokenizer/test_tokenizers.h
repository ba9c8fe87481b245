#pragma once

// The tokenizers that the tests of this folder share.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

#include "model/tokenizer/folder_tokenizer.h"

namespace atoll::model {

inline std::filesystem::path TalesDirectory() { return std::filesystem::path(ATOLL_SOURCE_DIR) / "checkpoints/tales"; }
inline std::filesystem::path SharedModels() { return std::filesystem::path(ATOLL_SOURCE_DIR) / "../shared/models"; }

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// Loaded once per test program and folder; null where the folder is absent.
inline const Tokenizer* LoadOnce(const std::filesystem::path& directory) {
  static std::map<std::string, FolderTokenizer> loaded;
  const auto found = loaded.find(directory.string());
  if (found != loaded.end()) return found->second.tokenizer();
  if (!std::filesystem::exists(directory)) return nullptr;
  absl::StatusOr<FolderTokenizer> tokenizer = FolderTokenizer::Load(directory, {});
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  if (!tokenizer.ok()) return nullptr;
  return loaded.emplace(directory.string(), *std::move(tokenizer)).first->second.tokenizer();
}

inline const Tokenizer& Tales() { return *LoadOnce(TalesDirectory()); }
inline const Tokenizer* DeepSeek() { return LoadOnce(SharedModels() / "deepseek-v3-tokenizer"); }

}  // namespace atoll::model
