// What metrics cost: a count or an observation on the hot path, and whole answers for a cluster of DeepSeek-V3's shape (58 layers
// of 256 experts on 64 expert nodes, 16 attention nodes).

#include <benchmark/benchmark.h>

#include "router/metrics/metrics_text.h"

namespace atoll::router {
namespace {

constexpr int64_t kLayers = 61, kDense = 3, kExperts = 256, kExpertNodes = 64, kAttentionNodes = 16;

void CounterAdd(benchmark::State& state) {
  static metrics::Counter counter;
  for (auto _ : state) counter.Add();
}
BENCHMARK(CounterAdd)->Threads(1)->Threads(2)->Threads(8)->UseRealTime();

void OneToken(benchmark::State& state) {
  static RequestMetrics requests;
  for (auto _ : state) requests.OnTokens({.tokens = 1, .after_ns = 8'000'000, .first = false});
}
BENCHMARK(OneToken)->Threads(1)->Threads(2)->Threads(8)->UseRealTime();

NodeReport MakeNode(NodeRole role, int64_t index) {
  NodeReport report{.node = {}, .state = NodeState::kReady, .experts = 240, .speed = 1};
  report.node.hello.role = role;
  report.node.hello.node_id = (role == NodeRole::kExpert ? "atoll-expert-" : "atoll-attention-") + std::to_string(index);
  report.node.hello.capacity.pages = 100000;
  report.node.heartbeat.pages_free = 5000;
  report.node.totals = {.rows_run = 123456789, .busy_us = 987654321, .steps = 1234567, .parts_sent_again = 3, .preemptions = 4};
  return report;
}

struct World {
  World() {
    auto placement = std::make_shared<model::Placement>();
    placement->layers = kLayers, placement->experts = kExperts;
    for (int64_t n = 0; n < kExpertNodes; ++n) placement->node_ids.push_back("atoll-expert-" + std::to_string(n));
    placement->layer_has_experts.assign(kLayers, true);
    placement->replicas.resize(kLayers * kExperts);
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      if (layer < kDense) placement->layer_has_experts[layer] = false;
      for (int64_t e = 0; layer >= kDense && e < kExperts; ++e) placement->replicas[layer * kExperts + e] = {{.node = static_cast<int32_t>(e % kExpertNodes), .share = 1}};
      if (layer >= kDense) counts.push_back({.layer = static_cast<int32_t>(layer), .prompt = std::vector<uint64_t>(kExperts, 98765432), .generated = std::vector<uint64_t>(kExperts, 123456)});
    }
    auto view = std::make_shared<ClusterView>();
    for (const std::string& id : placement->node_ids) view->expert_nodes.push_back({.node_id = id, .control_address = "", .alive = true});
    view->placement = placement;
    input.requests = &requests;
    input.http = &http;
    input.cluster.view = view;
    for (int64_t n = 0; n < kAttentionNodes; ++n) input.cluster.nodes.push_back(MakeNode(NodeRole::kAttention, n));
    for (int64_t n = 0; n < kExpertNodes; ++n) input.cluster.nodes.push_back(MakeNode(NodeRole::kExpert, n));
  }

  RequestMetrics requests;
  http::RequestCounts http;
  std::vector<LayerCounts> counts;
  MetricsInput input;
};

void MetricsAnswer(benchmark::State& state) {
  World world;
  size_t bytes = 0;
  for (auto _ : state) {
    world.input.evenness = EvennessOf(CountsSince(world.counts, {}), *world.input.cluster.view->placement);
    bytes = MetricsText(world.input, metrics::TextFormat::kPrometheus).size();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(MetricsAnswer)->Unit(benchmark::kMillisecond);

void ExpertLoadAsJson(benchmark::State& state) {
  World world;
  size_t bytes = 0;
  for (auto _ : state) bytes = ExpertLoadJson({kLayers, kExperts}, world.counts, {.model = "r1", .epoch = 1, .seconds = 1}).size();
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(ExpertLoadAsJson)->Unit(benchmark::kMillisecond);

void ExpertLoadAsNpy(benchmark::State& state) {
  World world;
  for (auto _ : state) benchmark::DoNotOptimize(ExpertLoadNpy({kLayers, kExperts}, world.counts, LoadPart::kAll));
}
BENCHMARK(ExpertLoadAsNpy)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace atoll::router
