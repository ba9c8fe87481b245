// Files of expert loads: both forms, and everything that is not one.

#include "router/placement/load_file/expert_load_file.h"

#include <gmock/gmock.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace atoll::router {
namespace {

class LoadFile : public testing::Test {
 protected:
  LoadFile() : folder_(std::filesystem::path(testing::TempDir()) / ("load_file_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~LoadFile() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  const std::filesystem::path folder_;
};

TEST_F(LoadFile, ReadsBothForms) {
  for (const char* text : {R"({"logical_count": [[0, 0], [3, 1.5]]})", R"({"logical_count": [[[0, 0], [3, 1.5]]]})"}) {
    const auto loads = ReadExpertLoads(Write("a.json", text));
    ASSERT_TRUE(loads.ok()) << loads.status();
    EXPECT_EQ(loads->counts, (std::vector<std::vector<double>>{{0, 0}, {3, 1.5}}));
    EXPECT_FALSE(loads->HasLoad(0));
    EXPECT_TRUE(loads->HasLoad(1));
  }
}

TEST_F(LoadFile, RefusesEverythingElseNamingTheFile) {
  for (const char* text : {"", "[", "[]", "{}", R"({"logical_count": 3})", R"({"logical_count": []})", R"({"logical_count": [[]]})",
                           R"({"logical_count": [[1, -1]]})", R"({"logical_count": [[1, "2"]]})", R"({"logical_count": [[1], [1, 2]]})",
                           R"({"logical_count": [[1e999]]})"}) {
    const auto loads = ReadExpertLoads(Write("b.json", text));
    EXPECT_EQ(loads.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(loads.status().message()), testing::HasSubstr("b.json")) << text;
  }
  EXPECT_EQ(ReadExpertLoads((folder_ / "absent.json").string()).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LoadFile, AFolderIsReadByNameAndMeanSharesCountFilesAlike) {
  EXPECT_EQ(ReadExpertLoadFolder(folder_.string()).status().code(), absl::StatusCode::kNotFound);
  Write("2.json", R"({"logical_count": [[300, 100]]})");
  Write("1.json", R"({"logical_count": [[1, 3]]})");
  const auto files = ReadExpertLoadFolder(folder_.string());
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ((*files)[0].name, "1.json");
  EXPECT_THAT(MeanShares(*files).counts[0], testing::ElementsAre(0.5, 0.5));
  Write("3.json", R"({"logical_count": [[1, 2, 3]]})");
  EXPECT_EQ(ReadExpertLoadFolder(folder_.string()).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace atoll::router
