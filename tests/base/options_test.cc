#include "base/options.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace atoll {
namespace {

struct Settings {
  std::string model;
  int64_t rows = 512;
  double speed = 1;
  bool mixed = false;
  std::string transport = "auto";
  std::vector<std::string> stop;
};

class OptionsTest : public testing::Test {
 protected:
  int Parse(std::vector<const char*> arguments) {
    options_ = std::make_unique<Options>(ProgramText{"atoll-test", "A test.", "  atoll-test --model x"});
    settings_ = {};
    options_->String("--model", &settings_.model, "folder");
    options_->Int("--max-rows", &settings_.rows, {1, 4096}, "rows");
    options_->Float("--speed", &settings_.speed, {0.01, 1000}, "speed");
    options_->Flag("--mixed", &settings_.mixed, "flag");
    options_->Choice("--transport", &settings_.transport, {"auto", "tcp"}, "transport");
    options_->List("--stop", &settings_.stop, "stop strings");
    options_->ReadFileAndEnvironment();
    arguments.insert(arguments.begin(), "atoll-test");
    testing::internal::CaptureStderr();
    const int code = options_->Parse(static_cast<int>(arguments.size()), arguments.data());
    said_ = testing::internal::GetCapturedStderr();
    return code;
  }

  const char* File(const std::string& text) {
    path_ = testing::TempDir() + "options_test.yaml";
    std::ofstream(path_) << text;
    return path_.c_str();
  }

  void TearDown() override {
    unsetenv("ATOLL_MAX_ROWS");
    unsetenv("ATOLL_MIXED");
  }

  std::unique_ptr<Options> options_;
  Settings settings_;
  std::string said_, path_;
};

TEST_F(OptionsTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const char* file = File("max-rows: 3\nspeed: 2.5\nmodel: from-file\nstop: [a, b]\n");
  setenv("ATOLL_MAX_ROWS", "2", 1);
  setenv("ATOLL_MIXED", "true", 1);
  EXPECT_EQ(Parse({"--config", file, "--model", "from-flag"}), -1) << said_;
  EXPECT_EQ(settings_.rows, 2);
  EXPECT_EQ(settings_.speed, 2.5);
  EXPECT_EQ(settings_.model, "from-flag");
  EXPECT_TRUE(settings_.mixed);
  EXPECT_EQ(settings_.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options_->OriginOf("--max-rows"), Options::Origin::kEnvironment);
  EXPECT_FALSE(options_->Given("--transport"));
}

TEST_F(OptionsTest, UnknownOptionEndsWith2AndNamesTheNearest) {
  EXPECT_EQ(Parse({"--max-row", "3"}), 2);
  EXPECT_NE(said_.find("did you mean --max-rows?"), std::string::npos) << said_;
}

TEST_F(OptionsTest, AWordTooManyEndsWith2AndIsNamed) {
  EXPECT_EQ(Parse({"--max-rows", "3", "stray"}), 2);
  EXPECT_NE(said_.find("unknown option stray"), std::string::npos) << said_;
}

TEST_F(OptionsTest, MissingOptionEndsWith2) {
  Parse({});
  options_->Require("--model");
  const char* arguments[] = {"atoll-test"};
  EXPECT_EQ(options_->Parse(1, arguments), 2);
}

TEST_F(OptionsTest, B31_WrongValuesEndWith78AndNameTheKey) {
  for (const char* bad : {"max-rows: many", "max-rows: 0", "max-rows: 5000", "max-rows: 1.5", "speed: nan", "speed: inf",
                          "mixed: perhaps", "transport: pigeon", "unknown-key: 1", "max-rows: 1\nmax-rows: 2",
                          "max-rows: [1, 2]", "max-rows: {a: 1}", "- a list", "a: b: c"}) {
    EXPECT_EQ(Parse({"--config", File(bad)}), 78) << bad;
    EXPECT_EQ(std::count(said_.begin(), said_.end(), '\n'), 1) << said_;
  }
  EXPECT_EQ(Parse({"--max-rows", "2147483648"}), 78);
  EXPECT_NE(said_.find("--max-rows"), std::string::npos);
  EXPECT_EQ(Parse({"--config", "/nowhere/at/all.yaml"}), 78);
}

TEST_F(OptionsTest, NegativeAndEmptyValuesReachTheCheck) {
  EXPECT_EQ(Parse({"--max-rows", "-1"}), 78);
  EXPECT_EQ(Parse({"--model", ""}), -1);
  EXPECT_TRUE(options_->Given("--model"));
  EXPECT_EQ(Parse({"--model=--help"}), -1);
  EXPECT_EQ(settings_.model, "--help");
  EXPECT_EQ(Parse({"--stop", "a", "--stop", "b c"}), -1);
  EXPECT_EQ(settings_.stop, (std::vector<std::string>{"a", "b c"}));
}

}  // namespace
}  // namespace atoll
