// The feed's events from samples: whole for who begins, what is new for the others.

#include "router/page/news.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "router/page/cluster_json.h"
#include "tests/balance/shape.h"

namespace atoll::router::page {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;

std::vector<std::pair<std::string, Json>> EventsOf(const std::string& text) {
  std::vector<std::pair<std::string, Json>> events;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find("\n\n", at), line = text.find("\ndata: ", at);
    events.emplace_back(text.substr(at + 7, line - at - 7), Json::parse(text.substr(line + 7, end - line - 7)));
    at = end + 2;
  }
  return events;
}

std::vector<std::string> NamesOf(const std::string& text) {
  std::vector<std::string> names;
  for (const auto& [name, json] : EventsOf(text)) names.push_back(name);
  return names;
}

Json EventOf(const std::string& text, const std::string& wanted) {
  for (const auto& [name, json] : EventsOf(text)) {
    if (name == wanted) return json;
  }
  return nullptr;
}

std::shared_ptr<const ClusterView> ViewOf(model::Placement placement) {
  auto view = std::make_shared<ClusterView>();
  view->epoch = 8;
  view->placement = std::make_shared<const model::Placement>(std::move(placement));
  return view;
}

model::Placement TwoNodes() {
  model::Placement placement = Shape(2, 3);
  placement.epoch = 5;
  placement.node_ids = {"e\"1", "e2"};
  placement.ReplicasOf({1, 0}) = {{.node = 0, .share = 1}};
  placement.ReplicasOf({1, 1}) = {{.node = 0, .share = 0.25}, {.node = 1, .share = 0.75}};
  placement.ReplicasOf({1, 2}) = {{.node = 1, .share = 1}};
  return placement;
}

PageSample Sample(std::shared_ptr<const ClusterView> view, std::vector<LayerCounts> counts, bool with_experts = true) {
  PageSample sample{.cluster = {}, .requests = {}, .latencies = {}, .unix_ms = 77, .with_experts = with_experts};
  sample.cluster.view = std::move(view);
  sample.cluster.expert_counts = std::move(counts);
  return sample;
}

TEST(PlacementJson, HasNodesAndSharesOfEveryExpert) {
  const Json json = Json::parse(PlacementJson(TwoNodes()));
  EXPECT_EQ(json, Json::parse(R"({"epoch":5,"nodes":["e\"1","e2"],"layers":[{"layer":1,"experts":[[0],[0,1,0.25,0.75],[1]]}]})"));
}

TEST(ClusterJson, SaysWhatNodesAre) {
  ClusterReport report;
  NodeReport expert{.node = {}, .state = NodeState::kLost, .experts = 12, .speed = 2};
  expert.node.hello.node_id = "e1";
  expert.node.hello.backend = "\xff<b>";  // not UTF-8
  expert.node.alive = false;
  expert.node.lost_because = "silence";
  NodeReport attention{.node = {}, .state = NodeState::kReady};
  attention.node.hello.role = NodeRole::kAttention;
  attention.node.heartbeat.lost_peers = {{"e1", "reset"}};
  report.nodes = {expert, attention};
  report.balance = {{.layer = 3, .imbalance = 1.5}};
  const Json json = Json::parse(ClusterJson(report, {.running = 2, .tokens = 99}, 5));
  EXPECT_EQ(json["nodes"][0]["lost_because"], "silence");
  EXPECT_EQ(json["nodes"][0]["state"], "lost");
  EXPECT_EQ(json["nodes"][0]["experts"], 12);
  EXPECT_EQ(json["nodes"][1]["lost_peers"]["e1"], "reset");
  EXPECT_EQ(json["balance"]["3"], 1.5);
  EXPECT_EQ(json["requests"]["tokens"], 99);
}

TEST(News, ABeginnerGetsTheWholeAndOthersWhatIsNew) {
  News news({.model = "m", .version = "v", .layers = 2, .experts = 3, .experts_per_token = 2, .chat = false});
  const auto view = ViewOf(TwoNodes());
  news.Take(Sample(view, {{.layer = 1, .prompt = {1, 2, 3}, .generated = {10, 0, 0}}}));
  EXPECT_THAT(NamesOf(news.Whole()), ElementsAre("facts", "placement", "experts_all", "cluster", "latencies"));
  EXPECT_EQ(EventOf(news.Whole(), "facts")["model"], "m");
  EXPECT_EQ(EventOf(news.Whole(), "experts_all")["layers"][0]["rows"], Json::parse("[11,2,3]"));
  news.Take(Sample(view, {{.layer = 1, .prompt = {1, 2, 3}, .generated = {10, 5, 0}}}));
  EXPECT_THAT(NamesOf(news.New()), ElementsAre("experts", "cluster"));
  EXPECT_EQ(EventOf(news.New(), "experts"), Json::parse(R"({"layers":[{"layer":1,"rows":[0,5,0]}]})"));
  news.Take(Sample(view, {{.layer = 1, .prompt = {1, 2, 3}, .generated = {10, 5, 0}}}));
  EXPECT_THAT(NamesOf(news.New()), ElementsAre("cluster")) << "no rows, no news of rows";
}

TEST(News, APlacementIsSaidWhenItIsAnother) {
  News news({});
  news.Take(Sample(nullptr, {}));
  EXPECT_THAT(NamesOf(news.New()), ElementsAre("cluster"));
  const auto view = ViewOf(TwoNodes());
  news.Take(Sample(view, {}));
  EXPECT_THAT(NamesOf(news.New()), ElementsAre("placement", "cluster"));
  auto same = std::make_shared<ClusterView>(*view);  // another view of the same placement
  news.Take(Sample(same, {}));
  EXPECT_THAT(NamesOf(news.New()), ElementsAre("cluster"));
  news.Take(Sample(ViewOf(TwoNodes()), {}));
  EXPECT_THAT(NamesOf(news.New()), ElementsAre("placement", "cluster"));
}

TEST(News, RowsThatNobodyLookedAtAreInTheNextDifference) {
  News news({});
  news.Take(Sample(nullptr, {{.layer = 1, .prompt = {1}, .generated = {}}}));
  news.Take(Sample(nullptr, {}, /*with_experts=*/false));
  EXPECT_THAT(NamesOf(news.New()), ElementsAre("cluster"));
  news.Take(Sample(nullptr, {{.layer = 1, .prompt = {4}, .generated = {2}}}));
  EXPECT_EQ(EventOf(news.New(), "experts")["layers"][0]["rows"], Json::parse("[5]"));
}

TEST(News, LatenciesAreSaidWhenThereAreMore) {
  News news({});
  PageSample sample = Sample(nullptr, {});
  sample.latencies = {{.name = "atoll_x_seconds", .help = "", .values = {.upper_bounds = {0.5}, .counts = {1, 0}, .sum = 0.1}}};
  news.Take(sample);
  EXPECT_EQ(EventOf(news.New(), "latencies"), Json::parse(R"([{"name":"atoll_x_seconds","bounds":[0.5],"counts":[1,0]}])"));
  news.Take(sample);
  EXPECT_TRUE(EventOf(news.New(), "latencies").is_null());
  sample.latencies[0].values.counts[1] = 2;
  news.Take(sample);
  EXPECT_EQ(EventOf(news.New(), "latencies")[0]["counts"], Json::parse("[1,2]"));
}

TEST(News, ChangesAreSaidOnce) {
  News news({});
  PageSample sample = Sample(nullptr, {});
  news.Take(sample);
  sample.cluster.ready = true;
  news.Take(sample);
  EXPECT_EQ(EventOf(news.New(), "changes")[0]["text"], "the cluster is ready");
  news.Take(sample);
  EXPECT_TRUE(EventOf(news.New(), "changes").is_null());
  EXPECT_EQ(EventOf(news.Whole(), "changes").size(), 1u);
}

TEST(ExpertRows, TheShapeOfALargeModelIsSmall) {
  ExpertRows rows;
  std::vector<LayerCounts> counts;
  for (int32_t layer = 3; layer < 61; ++layer) counts.push_back({.layer = layer, .prompt = std::vector<uint64_t>(256, 40), .generated = std::vector<uint64_t>(256, 300)});
  rows.Take(counts);
  EXPECT_EQ(Json::parse(rows.NewJson())["layers"].size(), 58u);
  EXPECT_LT(rows.NewJson().size(), 80000u);
}

}  // namespace
}  // namespace atoll::router::page
