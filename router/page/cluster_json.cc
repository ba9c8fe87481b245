#include "router/page/cluster_json.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "router/http/json/json_write.h"

namespace atoll::router::page {
namespace {

using Json = nlohmann::json;

Json NodeJson(const NodeReport& report) {
  const NodeHello& hello = report.node.hello;
  const NodeHeartbeat& heartbeat = report.node.heartbeat;
  Json node{{"id", hello.node_id},
            {"role", NodeRoleName(hello.role)},
            {"state", NodeStateName(report.state)},
            {"life", absl::StrFormat("%016x", hello.incarnation)},
            {"backend", hello.backend},
            {"address", hello.control_address},
            {"zone", hello.zone}};
  if (!report.node.alive) node["lost_because"] = report.node.lost_because;
  if (hello.role == NodeRole::kExpert) {
    node.update(Json{{"experts", report.experts}, {"speed", report.speed}, {"rows", report.node.totals.rows_run},
                 {"busy_us", report.node.totals.busy_us}, {"loaded_bytes", heartbeat.loaded_bytes}, {"to_load_bytes", heartbeat.to_load_bytes}});
  } else {
    node.update(Json{{"running", heartbeat.running}, {"waiting", heartbeat.waiting}, {"pages_free", heartbeat.pages_free},
                 {"pages", hello.capacity.pages}, {"max_num_seqs", hello.capacity.max_num_seqs}});
    if (!heartbeat.lost_peers.empty()) node["lost_peers"] = heartbeat.lost_peers;
  }
  return node;
}

Json HistogramJson(const NamedHistogram& histogram) {
  return {{"name", histogram.name}, {"bounds", histogram.values.upper_bounds}, {"counts", histogram.values.counts}};
}

Json BalancerJson(const BalancerReport& balancer) {
  return {{"enabled", balancer.enabled},       {"frozen", balancer.frozen},         {"stuck", balancer.stuck},
          {"epoch", balancer.placement_epoch}, {"activity", balancer.activity},     {"age_ms", balancer.age_ms},
          {"rounds", balancer.rounds},         {"steps_left", balancer.steps_left}, {"replicas_loaded", balancer.replicas_loaded},
          {"lost_experts", balancer.lost_experts}};
}

void AppendReplicas(const std::vector<model::Replica>& replicas, std::string& out) {
  out += '[';
  for (size_t r = 0; r < replicas.size(); ++r) {
    if (r > 0) out += ',';
    http::AppendJsonInt(replicas[r].node, out);
  }
  for (size_t r = 0; replicas.size() > 1 && r < replicas.size(); ++r) absl::StrAppendFormat(&out, ",%.3g", replicas[r].share);
  out += ']';
}

}  // namespace

std::string ClusterJson(const ClusterReport& report, const RequestTotals& requests, int64_t unix_ms) {
  Json out{{"unix_ms", unix_ms},
           {"now_ms", report.now_ns / 1000000},
           {"ready", report.ready},
           {"reason", report.not_ready_reason},
           {"not_exact", report.not_exact_reason},
           {"view_epoch", report.view == nullptr ? 0 : report.view->epoch},
           {"nodes", Json::array()},
           {"balancer", BalancerJson(report.balancer)},
           {"balance", Json::object()},
           {"requests", {{"running", requests.running}, {"accepted", requests.requests}, {"refused", requests.refused},
                         {"failed", requests.failed}, {"cancelled", requests.cancelled}, {"tokens", requests.tokens}}}};
  for (const NodeReport& node : report.nodes) out["nodes"].push_back(NodeJson(node));
  for (const LayerBalance& layer : report.balance) out["balance"][std::to_string(layer.layer)] = layer.imbalance;
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string HistogramsJson(const std::vector<NamedHistogram>& histograms) {
  Json out = Json::array();
  for (const NamedHistogram& histogram : histograms) out.push_back(HistogramJson(histogram));
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string PlacementJson(const model::Placement& placement) {
  std::string out = absl::StrFormat("{\"epoch\":%d,\"nodes\":", placement.epoch);
  out += Json(placement.node_ids).dump(-1, ' ', false, Json::error_handler_t::replace) + ",\"layers\":[";
  for (int32_t layer = 0; layer < placement.layers; ++layer) {
    if (!placement.layer_has_experts[layer]) continue;
    absl::StrAppendFormat(&out, "%s{\"layer\":%d,\"experts\":[", out.back() == '[' ? "" : ",", layer);
    for (int32_t expert = 0; expert < placement.experts; ++expert) {
      if (expert > 0) out += ',';
      AppendReplicas(placement.ReplicasOf({layer, expert}), out);
    }
    out += "]}";
  }
  return out += "]}";
}

}  // namespace atoll::router::page
