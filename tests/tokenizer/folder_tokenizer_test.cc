#include "model/tokenizer/folder_tokenizer.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include "tests/tokenizer/test_tokenizers.h"

namespace atoll::model {
namespace {

namespace fs = std::filesystem;

// An empty folder of its own, removed at the end.
class FolderTokenizerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "atoll_tokenizer_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  void Write(const std::string& name, std::string_view text) const { std::ofstream(directory_ / name, std::ios::binary) << text; }
  void CopyFromTales(const std::string& name) const { fs::copy_file(TalesDirectory() / name, directory_ / name); }
  absl::StatusOr<FolderTokenizer> Load() const { return FolderTokenizer::Load(directory_, {}); }

  void ExpectIdsAlone() const {
    const auto loaded = Load();
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->tokenizer(), nullptr);
    EXPECT_EQ(loaded->ForText().status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(loaded->ForText().status().message().find("token ids alone"), absl::string_view::npos);
  }

  void ExpectRefused(absl::StatusCode code, const std::string& name) const {
    const auto loaded = Load();
    EXPECT_EQ(loaded.status().code(), code) << loaded.status();
    EXPECT_NE(loaded.status().message().find(name), absl::string_view::npos) << loaded.status();
  }

  fs::path directory_;
};

TEST_F(FolderTokenizerTest, LoadsWithoutAConfigJson) {
  CopyFromTales("tokenizer.json");
  CopyFromTales("tokenizer_config.json");
  const auto loaded = Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_TRUE(loaded->ForText().ok());
  EXPECT_EQ((*loaded->ForText())->vocabulary_size(), 4096);
}

TEST_F(FolderTokenizerTest, WithoutItsConfigAddsNoBos) {
  CopyFromTales("tokenizer.json");
  const auto loaded = Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_FALSE(loaded->tokenizer()->add_bos());
}

TEST_F(FolderTokenizerTest, TemplateFileCountsBeforeTheConfigs) {
  CopyFromTales("tokenizer.json");
  CopyFromTales("tokenizer_config.json");
  Write("chat_template.jinja", "from its own file");
  EXPECT_EQ(Load()->tokenizer()->config().chat_template, "from its own file");
}

TEST_F(FolderTokenizerTest, NoTokenizerFileIsServedByIdsAlone) {
  Write("config.json", "{}");
  ExpectIdsAlone();
}

TEST_F(FolderTokenizerTest, TiktokenFileIsServedByIdsAlone) {
  Write("tiktoken.model", "IQ== 0");
  ExpectIdsAlone();
  CopyFromTales("tokenizer_config.json");
  ExpectIdsAlone();
}

TEST_F(FolderTokenizerTest, ConfigAloneIsRefusedByName) {
  CopyFromTales("tokenizer_config.json");
  ExpectRefused(absl::StatusCode::kFailedPrecondition, "tokenizer_config.json");
}

TEST_F(FolderTokenizerTest, SentencepieceAloneIsRefusedByName) {
  Write("tokenizer.model", "x");
  ExpectRefused(absl::StatusCode::kFailedPrecondition, "tokenizer.model");
}

TEST_F(FolderTokenizerTest, BrokenFilesAreRefusedByName) {
  Write("tokenizer.json", "{");
  ExpectRefused(absl::StatusCode::kInvalidArgument, "tokenizer.json");
  fs::remove(directory_ / "tokenizer.json");
  CopyFromTales("tokenizer.json");
  for (const char* config : {"[]", "{\"add_bos_token\":1}", "{\"bos_token\":7}", "{\"add_bos_token\":true}", "{\"add_eos_token\":true}",
                             "{\"bos_token\":\"<absent>\"}", "{\"chat_template\":[{\"name\":\"other\",\"template\":\"x\"}]}", "\xFF"}) {
    Write("tokenizer_config.json", config);
    ExpectRefused(absl::StatusCode::kInvalidArgument, "tokenizer_config.json");
  }
}

TEST_F(FolderTokenizerTest, OnlyRegularFilesAreRead) {
  ASSERT_EQ(mkfifo((directory_ / "tokenizer.json").c_str(), 0600), 0);
  ExpectRefused(absl::StatusCode::kInvalidArgument, "regular file");
  fs::remove(directory_ / "tokenizer.json");
  fs::create_directory(directory_ / "tokenizer.json");
  ExpectRefused(absl::StatusCode::kInvalidArgument, "tokenizer.json");
}

TEST_F(FolderTokenizerTest, AbsentFolderIsAnError) {
  EXPECT_FALSE(FolderTokenizer::Load(directory_ / "absent", {}).ok());
}

}  // namespace
}  // namespace atoll::model
