// /metrics as a whole, from figures made up here.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "router/metrics/metrics_text.h"

namespace atoll::router {
namespace {

using testing::HasSubstr;
using testing::Not;

NodeReport AttentionNode(const std::string& id, bool alive = true) {
  NodeReport report{.node = {}, .state = alive ? NodeState::kReady : NodeState::kLost, .experts = 0, .speed = 1};
  report.node.hello.role = NodeRole::kAttention;
  report.node.hello.node_id = id;
  report.node.hello.capacity.pages = 100;
  report.node.heartbeat.pages_free = 75;
  report.node.heartbeat.running = 3;
  report.node.heartbeat.waiting = 2;
  report.node.alive = alive;
  report.node.totals = {.rows_run = 0, .busy_us = 0, .steps = 40, .parts_sent_again = 1, .preemptions = 5};
  return report;
}

NodeReport ExpertNode(const std::string& id) {
  NodeReport report{.node = {}, .state = NodeState::kReady, .experts = 12, .speed = 1};
  report.node.hello.role = NodeRole::kExpert;
  report.node.hello.node_id = id;
  report.node.totals = {.rows_run = 1000, .busy_us = 2'500'000, .steps = 0, .parts_sent_again = 0, .preemptions = 0};
  return report;
}

// A cluster of one attention node and two expert nodes, whose experts have one replica and the first one two.
struct World {
  explicit World(int64_t layers = 3, int64_t experts = 8) {
    auto placement = std::make_shared<model::Placement>();
    placement->layers = layers, placement->experts = experts;
    placement->node_ids = {"e0", "e1"};
    placement->layer_has_experts.assign(layers, true);
    placement->replicas.resize(layers * experts);
    for (int64_t i = 0; i < layers * experts; ++i) placement->replicas[i] = {{.node = static_cast<int32_t>(i % 2), .share = 1}};
    placement->replicas[0] = {{.node = 0, .share = 0.5}, {.node = 1, .share = 0.5}};
    auto view = std::make_shared<ClusterView>();
    view->expert_nodes = {{.node_id = "e0", .control_address = "", .alive = true}, {.node_id = "e1", .control_address = "", .alive = true}};
    view->placement = placement;
    for (int64_t layer = 0; layer < layers; ++layer) {
      counts.push_back({.layer = static_cast<int32_t>(layer), .prompt = std::vector<uint64_t>(experts, 1000), .generated = std::vector<uint64_t>(experts, 500)});
    }
    input.requests = &requests;
    input.http = &http;
    input.build = {.version = "1.2.3", .commit = "abc", .model = "tales", .model_fingerprint = 0xF00};
    input.cluster.ready = true;
    input.cluster.view = view;
    input.cluster.nodes = {AttentionNode("a0"), ExpertNode("e0"), ExpertNode("e1")};
    input.evenness = EvennessOf(counts, *placement);
  }
  std::string Text(metrics::TextFormat format = metrics::TextFormat::kPrometheus) const { return MetricsText(input, format); }

  RequestMetrics requests;
  http::RequestCounts http;
  std::vector<LayerCounts> counts;
  MetricsInput input;
};

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// "NAME type" of all families.
std::set<std::string> Families(const std::string& text) {
  std::set<std::string> families;
  for (const std::string& line : Lines(text)) {
    if (line.starts_with("# TYPE ")) families.insert(line.substr(7));
  }
  return families;
}

size_t SeriesOf(const std::string& text) {
  const std::vector<std::string> lines = Lines(text);
  return std::count_if(lines.begin(), lines.end(), [](const std::string& line) { return !line.starts_with("#"); });
}

TEST(MetricsTextTest, SaysWhatTheNodesSaid) {
  const std::string text = World().Text();
  EXPECT_THAT(text, HasSubstr("\natoll_sequences_waiting{node=\"a0\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("\natoll_kv_cache_usage_ratio{node=\"a0\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("\natoll_nodes{role=\"expert\",state=\"ready\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("\natoll_expert_step_seconds_total{node=\"e1\"} 2.5\n"));
  EXPECT_THAT(text, HasSubstr("\natoll_expert_replicas 25\n"));
  EXPECT_THAT(text, HasSubstr("\natoll_expert_replicas_min 1\n"));
  EXPECT_THAT(text, HasSubstr("atoll_build_info{version=\"1.2.3\",commit=\"abc\",model=\"tales\",model_fingerprint=\"0000000000000f00\"} 1\n"));
}

TEST(MetricsTextTest, OfALostNodeTheCountersStayAndTheGaugesGo) {
  World world;
  world.input.cluster.nodes.push_back(AttentionNode("a1", false));
  const std::string text = world.Text();
  EXPECT_THAT(text, HasSubstr("atoll_attention_steps_total{node=\"a1\"} 40\n"));
  EXPECT_THAT(text, Not(HasSubstr("atoll_sequences_running{node=\"a1\"}")));
  EXPECT_THAT(text, HasSubstr("vllm:num_requests_running{model_name=\"tales\",engine=\"0\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("vllm:num_preemptions_total{model_name=\"tales\",engine=\"0\"} 10\n"));
}

TEST(MetricsTextTest, OnlyLoadedExpertsOnLivingNodesAreReplicas) {
  World world;
  auto view = std::make_shared<ClusterView>(*world.input.cluster.view);
  view->expert_nodes[1].alive = false;
  world.input.cluster.view = view;
  EXPECT_THAT(world.Text(), HasSubstr("\natoll_expert_replicas 12\n"));
  EXPECT_THAT(world.Text(), HasSubstr("\natoll_expert_replicas_min 0\n"));
}

TEST(MetricsTextTest, TheNumberOfSeriesDoesNotDependOnTheExperts) {
  EXPECT_EQ(SeriesOf(World(5, 8).Text()), SeriesOf(World(5, 256).Text()));
}

TEST(MetricsTextTest, NodesBeyondTheMaximumShareASeries) {
  World world;
  world.input.cluster.nodes.clear();
  for (int i = 0; i < 1500; ++i) world.input.cluster.nodes.push_back(AttentionNode("a" + std::to_string(10000 + i)));
  const std::string text = world.Text();
  EXPECT_THAT(text, HasSubstr("atoll_sequences_running{node=\"other\"} 1428\n"));  // 476 nodes of 3
  size_t series = 0;
  for (const std::string& line : Lines(text)) series += line.starts_with("atoll_sequences_running{");
  EXPECT_EQ(series, kNodeSeriesMax + 1);
}

TEST(MetricsTextTest, NoSeriesStandsTwice) {
  for (const metrics::TextFormat format : {metrics::TextFormat::kPrometheus, metrics::TextFormat::kOpenMetrics}) {
    std::set<std::string> seen;
    for (const std::string& line : Lines(World().Text(format))) {
      const std::string name = line.starts_with("# ") ? line.substr(0, line.find(' ', 7)) : line.substr(0, line.rfind(' '));
      EXPECT_TRUE(seen.insert(name).second) << name;
    }
  }
}

TEST(MetricsTextTest, WithoutTrafficBalancednessIsAbsent) {
  World world;
  world.input.evenness.clear();
  EXPECT_THAT(world.Text(), Not(HasSubstr("\natoll_balancedness ")));
  EXPECT_THAT(World().Text(), HasSubstr("\natoll_balancedness 0.96"));
}

TEST(MetricsTextTest, OtherNamesAreShownOnlyWhereAskedFor) {
  World world;
  world.requests.OnFirstToken(9, 1000);
  EXPECT_THAT(world.Text(), HasSubstr("vllm:prompt_tokens_total{model_name=\"tales\",engine=\"0\"} 9\n"));
  EXPECT_THAT(world.Text(), HasSubstr("vllm:cache_config_info{model_name=\"tales\",engine=\"0\",block_size=\"64\",num_gpu_blocks=\"100\"} 1\n"));
  world.input.vllm_names = false;
  EXPECT_THAT(world.Text(), Not(HasSubstr("vllm:")));
  EXPECT_THAT(world.Text(), Not(HasSubstr("\nhttp_requests_total")));
}

TEST(MetricsTextTest, HttpStatusesAreToldApartAndByClass) {
  World world;
  const auto counts = world.http.Add("/v1/completions", "POST");
  counts->Add(400), counts->Add(429), counts->Add(200), counts->Add(299);
  EXPECT_THAT(world.Text(), HasSubstr("atoll_http_requests_total{handler=\"/v1/completions\",method=\"POST\",status=\"429\"} 1\n"));
  EXPECT_THAT(world.Text(), HasSubstr("atoll_http_requests_total{handler=\"/v1/completions\",method=\"POST\",status=\"other\"} 1\n"));
  EXPECT_THAT(world.Text(), HasSubstr("\nhttp_requests_total{handler=\"/v1/completions\",method=\"POST\",status=\"4xx\"} 2\n"));
}

// docs/metrics.md has a row `NAME` | type | ... for every family, and for no other.
TEST(MetricsTextTest, TheTableInTheDocumentsIsComplete) {
  std::ifstream file(ATOLL_SOURCE_DIR "/docs/metrics.md");
  ASSERT_TRUE(file.is_open());
  std::set<std::string> documented;
  const std::regex row("^\\| `([A-Za-z0-9_:]+)` \\| (counter|gauge|histogram) \\|.*");
  for (std::string line; std::getline(file, line);) {
    if (std::smatch match; std::regex_match(line, match, row)) documented.insert(match[1].str() + " " + match[2].str());
  }
  EXPECT_EQ(documented, Families(World().Text()));
}

}  // namespace
}  // namespace atoll::router
