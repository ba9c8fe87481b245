// Expert loads: differences, evenness, files, recording, window.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "router/metrics/load_recording.h"
#include "router/metrics/load_window.h"
#include "router/placement/load_file/expert_load_file.h"

namespace atoll::router {
namespace {

using testing::ElementsAre;

constexpr int64_t kSecond = 1'000'000'000;

LayerCounts Layer(int32_t layer, std::vector<uint64_t> prompt, std::vector<uint64_t> generated) {
  return {.layer = layer, .prompt = std::move(prompt), .generated = std::move(generated)};
}

// Layers 1 and 2 of three have four experts: two on each of two nodes.
model::Placement TwoNodes() {
  model::Placement placement{.epoch = 1, .layers = 3, .experts = 4, .node_ids = {"a", "b"}, .layer_has_experts = {false, true, true}, .replicas = {}};
  placement.replicas.resize(12);
  for (int layer = 1; layer < 3; ++layer) {
    for (int e = 0; e < 4; ++e) placement.replicas[layer * 4 + e] = {{.node = e / 2, .share = 1}};
  }
  return placement;
}

TEST(ExpertLoadTest, CountsSinceAStartMayLackLayers) {
  const auto since = CountsSince({Layer(1, {5, 5}, {9, 0}), Layer(2, {1, 2}, {3, 4})}, {Layer(1, {2, 5}, {1, 0})});
  ASSERT_EQ(since.size(), 2u);
  EXPECT_THAT(since[0].prompt, ElementsAre(3, 0));
  EXPECT_THAT(since[0].generated, ElementsAre(8, 0));
  EXPECT_THAT(since[1].prompt, ElementsAre(1, 2));
}

TEST(ExpertLoadTest, BalancednessIsMeanOverBusiestNodeAveragedOverLayers) {
  // Layer 1: nodes have 3,000 and 1,000; layer 2: as many. Its busiest expert does not matter, nodes do.
  const auto evenness = EvennessOf({Layer(1, {1000, 500, 500, 0}, {1000, 500, 0, 500}), Layer(2, {2000, 0, 1000, 1000}, {0, 0, 0, 0})}, TwoNodes());
  ASSERT_EQ(evenness.size(), 2u);
  EXPECT_DOUBLE_EQ(evenness[0].balancedness, 2000.0 / 3000);
  EXPECT_DOUBLE_EQ(evenness[1].balancedness, 1);
  EXPECT_DOUBLE_EQ(*MeanBalancedness(evenness), (2.0 / 3 + 1) / 2);
  EXPECT_DOUBLE_EQ(evenness[0].hottest_ratio, 1);  // of four experts all are among the hottest
}

TEST(ExpertLoadTest, LayersWithLittleTrafficAreNotJudged) {
  EXPECT_TRUE(EvennessOf({Layer(1, {999, 0, 0, 0}, {0, 0, 0, 0})}, TwoNodes()).empty());
  EXPECT_FALSE(MeanBalancedness({}).has_value());
}

TEST(ExpertLoadTest, TheHottestExpertsShareIsOfTheLayersRows) {
  model::Placement placement{.epoch = 1, .layers = 1, .experts = 16, .node_ids = {"a"}, .layer_has_experts = {true}, .replicas = {}};
  placement.replicas.assign(16, {{.node = 0, .share = 1}});
  LayerCounts counts = Layer(0, std::vector<uint64_t>(16, 100), std::vector<uint64_t>(16, 0));
  for (int e = 0; e < 8; ++e) counts.generated[2 * e] = 200;
  EXPECT_DOUBLE_EQ(EvennessOf({counts}, placement)[0].hottest_ratio, 2400.0 / 3200);
}

TEST(ExpertLoadTest, JsonIsWhatTheRouterReads) {
  const auto counts = std::vector{Layer(1, {1, 2, 3, 4}, {10, 0, 0, 0}), Layer(2, {0, 0, 0, 7}, {0, 0, 0, 0})};
  const std::string text = ExpertLoadJson({.layers = 3, .experts = 4}, counts, {.model = "a \"model\"", .epoch = 9, .seconds = 1.5});
  const nlohmann::json json = nlohmann::json::parse(text);
  EXPECT_EQ(json["model"], "a \"model\"");
  EXPECT_EQ(json["epoch"], 9);
  EXPECT_EQ(json["logical_count"], (nlohmann::json{{0, 0, 0, 0}, {11, 2, 3, 4}, {0, 0, 0, 7}}));
  EXPECT_EQ(json["prompt_count"][1], (nlohmann::json{1, 2, 3, 4}));
  EXPECT_EQ(json["generated_count"][1], (nlohmann::json{10, 0, 0, 0}));

  const std::string path = testing::TempDir() + "/expert_load_test.json";
  std::ofstream(path) << text;
  const absl::StatusOr<ExpertLoads> read = ReadExpertLoads(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->counts, (std::vector<std::vector<double>>{{0, 0, 0, 0}, {11, 2, 3, 4}, {0, 0, 0, 7}}));
}

TEST(ExpertLoadTest, NpyHasAnAlignedHeaderAndRowsByLayer) {
  const std::string npy = ExpertLoadNpy({.layers = 2, .experts = 3}, {Layer(1, {1, 2, 3}, {0, 0, 5})}, LoadPart::kAll);
  ASSERT_EQ(npy.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const size_t header = static_cast<unsigned char>(npy[8]) + 256 * static_cast<unsigned char>(npy[9]);
  EXPECT_EQ((10 + header) % 64, 0u);
  EXPECT_EQ(npy[9 + header], '\n');
  EXPECT_THAT(npy, testing::HasSubstr("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }"));
  std::vector<int64_t> values((npy.size() - 10 - header) / 8);
  std::memcpy(values.data(), npy.data() + 10 + header, values.size() * 8);
  EXPECT_THAT(values, ElementsAre(0, 0, 0, 1, 2, 8));
}

TEST(ExpertLoadTest, NpyPartsAddUp) {
  const std::vector<LayerCounts> counts{Layer(0, {1, 2}, {30, 40})};
  const auto first = [&](LoadPart part) {
    const std::string npy = ExpertLoadNpy({.layers = 1, .experts = 2}, counts, part);
    int64_t value = 0;
    std::memcpy(&value, npy.data() + npy.size() - 16, 8);
    return value;
  };
  EXPECT_EQ(first(LoadPart::kPrompt), 1);
  EXPECT_EQ(first(LoadPart::kGenerated), 30);
  EXPECT_EQ(first(LoadPart::kAll), 31);
}

TEST(LoadRecordingTest, GivesWhatCameBetweenStartAndStop) {
  LoadRecording recording;
  EXPECT_FALSE(recording.Dump(0, {}).ok());
  EXPECT_FALSE(recording.Stop(0, {}).ok());
  recording.Start(1 * kSecond, {Layer(1, {5}, {5})});
  const auto running = recording.Dump(2 * kSecond, {Layer(1, {6}, {5})});
  ASSERT_TRUE(running.ok());
  EXPECT_TRUE(running->running);
  EXPECT_THAT(running->counts[0].prompt, ElementsAre(1));
  ASSERT_TRUE(recording.Stop(4 * kSecond, {Layer(1, {8}, {5})}).ok());
  EXPECT_FALSE(recording.Stop(5 * kSecond, {}).ok());
  const auto ended = recording.Dump(9 * kSecond, {Layer(1, {100}, {100})});
  ASSERT_TRUE(ended.ok());
  EXPECT_FALSE(ended->running);
  EXPECT_THAT(ended->counts[0].prompt, ElementsAre(3));
  EXPECT_DOUBLE_EQ(ended->seconds, 3);
  recording.Start(10 * kSecond, {Layer(1, {100}, {100})});
  EXPECT_DOUBLE_EQ(recording.Dump(10 * kSecond, {Layer(1, {100}, {100})})->counts[0].prompt[0], 0);
}

TEST(LoadWindowTest, ForgetsWhatIsOlderThanAMinute) {
  LoadWindow window;
  EXPECT_TRUE(window.Recent({Layer(1, {7}, {0})}).empty());
  for (int64_t s = 0; s <= 100; s += 10) {
    ASSERT_TRUE(window.Due(s * kSecond));
    window.Add(s * kSecond, {Layer(1, {static_cast<uint64_t>(s)}, {0})});
    ASSERT_FALSE(window.Due((s + 9) * kSecond));
  }
  EXPECT_THAT(window.Recent({Layer(1, {105}, {0})})[0].prompt, ElementsAre(105 - 50));
}

}  // namespace
}  // namespace atoll::router
