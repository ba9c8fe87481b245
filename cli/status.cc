// `atoll status`: what the router knows of the cluster, as tables or as JSON.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/options.h"
#include "cli/placement/balancer_text.h"
#include "cli/command.h"
#include "cli/router_client.h"
#include "cli/placement/table.h"
#include "cli/trace/step_client.h"

namespace atoll::cli {
namespace {

void PrintNodes(const ClusterStatus& status) {
  Table table{{"NODE", "ROLE", "STATE", "EPOCH", "LOAD", "PAGES FREE", "EXPERTS", "SPEED", "WEIGHTS", "ROWS RUN", "SEEN", "BACKEND", "ADDRESS"}};
  for (const NodeRow& n : status.nodes) {
    const bool expert = n.role == "expert";
    table.push_back({n.node_id, n.role, n.state, absl::StrCat(n.epoch_ready), expert ? "-" : absl::StrCat(n.running, "+", n.waiting),
                     expert ? "-" : absl::StrCat(n.pages_free, "/", n.pages), expert ? absl::StrCat(n.experts) : "-",
                     expert ? absl::StrFormat("%.2f", n.speed) : "-", Megabytes(n.loaded_bytes), expert ? absl::StrCat(n.rows_run) : "-", absl::StrCat(n.heartbeat_age_ms, " ms ago"),
                     n.backend, n.address});
  }
  PrintTable(table);
}

uint64_t Sum(const std::vector<uint64_t>& values) { return std::accumulate(values.begin(), values.end(), uint64_t{0}); }

void PrintLayers(const ClusterStatus& status) {
  Table table{{"LAYER", "ROWS", "BUSIEST NODE / MEAN", "BUSIEST EXPERT / MEAN", "HOTTEST EXPERTS"}};
  for (const LayerLoad& layer : status.layers) {
    const uint64_t total = Sum(layer.rows);
    if (total == 0) continue;
    std::vector<size_t> order(layer.rows.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return layer.rows[a] > layer.rows[b]; });
    const double mean = static_cast<double>(total) / static_cast<double>(order.size());
    std::string hottest;
    for (size_t i = 0; i < std::min<size_t>(order.size(), 5); ++i) absl::StrAppend(&hottest, i ? " " : "", order[i], ":", layer.rows[order[i]]);
    table.push_back({absl::StrCat(layer.layer), absl::StrCat(total), absl::StrFormat("%.3f", layer.imbalance),
                     absl::StrFormat("%.2f", static_cast<double>(layer.rows[order[0]]) / mean), hottest});
  }
  if (table.size() == 1) std::cout << "no expert has seen a row yet\n";
  else PrintTable(table);
}

void PrintTables(const ClusterStatus& status, bool experts) {
  std::cout << status.model << "  epoch " << status.epoch << "  " << (status.ready ? "ready" : "not ready: " + status.not_ready_reason)
            << (status.exact ? "" : "  NOT EXACT: " + status.not_exact_reason) << "\n";
  for (const auto& [name, value] : status.router) std::cout << name << " " << value << "  ";
  std::cout << "\n" << BalancerText(status.balancer) << "\n";
  if (status.routing_bias.asked) std::cout << RoutingBiasText(status.routing_bias) << "\n";
  std::cout << "\n";
  PrintNodes(status);
  if (experts) {
    std::cout << "\n";
    PrintLayers(status);
  }
  std::cout << std::flush;
}

nlohmann::ordered_json NodeJson(const NodeRow& n) {
  return {{"node_id", n.node_id}, {"role", n.role}, {"state", n.state}, {"address", n.address}, {"backend", n.backend},
          {"speed", n.speed}, {"epoch_ready", n.epoch_ready}, {"running", n.running}, {"waiting", n.waiting},
          {"pages_free", n.pages_free}, {"pages", n.pages}, {"experts", n.experts}, {"rows_run", n.rows_run},
          {"loaded_bytes", n.loaded_bytes}, {"memory_bytes", n.memory_bytes}, {"heartbeat_age_ms", n.heartbeat_age_ms}};
}

void PrintJson(const ClusterStatus& status, bool experts) {
  nlohmann::ordered_json out{{"model", status.model}, {"epoch", status.epoch}, {"ready", status.ready},
                             {"not_ready_reason", status.not_ready_reason}, {"exact", status.exact}, {"not_exact_reason", status.not_exact_reason}};
  for (const auto& [name, value] : status.router) out["router"][name] = value;
  out["balancer"] = BalancerJson(status.balancer);
  if (status.routing_bias.asked) out["routing_bias"] = RoutingBiasJson(status.routing_bias);
  out["nodes"] = nlohmann::ordered_json::array();
  for (const NodeRow& node : status.nodes) out["nodes"].push_back(NodeJson(node));
  if (experts)
    for (const LayerLoad& layer : status.layers)
      out["layers"].push_back({{"layer", layer.layer}, {"imbalance", layer.imbalance}, {"rows", layer.rows}});
  std::cout << out.dump() << std::endl;
}

int PrintStep(const std::string& address, const std::string& request_id, bool json) {
  constexpr int64_t kTimeoutMs = 30000;
  const absl::StatusOr<StepReport> step = TraceStep(address, request_id, kTimeoutMs);
  if (!step.ok()) return ReportError(step.status());
  if (json) {
    std::cout << step->json << std::endl;
    return 0;
  }
  std::cout << step->headline << "\n\n";
  PrintTable(step->layers);
  std::cout << std::flush;
  return 0;
}

}  // namespace

int RunStatus(int argc, const char* const* argv) {
  std::string address, request_id;
  bool json = false, watch = false, experts = false, step = false;
  Options options({"atoll status", "Shows the nodes, their loads and the balance of the experts.",
                   "  atoll status --address 127.0.0.1:50051 --watch\n  atoll status --address 127.0.0.1:50051 --experts --json\n"
                   "  atoll status --address 127.0.0.1:50051 --step\n", 1});
  options.String("--address", &address, "HOST:PORT of the router");
  options.Require("--address");
  options.Flag("--json", &json, "one JSON object");
  options.Flag("--watch", &watch, "again every second until Ctrl-C");
  options.Flag("--experts", &experts, "the experts' loads per layer");
  options.Flag("--step", &step, "instead, where the time of the next step goes, layer by layer; waits for one");
  options.String("--request-id", &request_id, "with --step: the next step that has rows of this request");
  if (const int code = options.Parse(argc, argv); code >= 0) return code;
  if (step) return PrintStep(address, request_id, json);
  RouterClient router(address);
  for (;;) {
    const absl::StatusOr<ClusterStatus> status = router.GetStatus(experts, 5000);
    if (!status.ok() && !watch) return ReportError(status.status());
    if (watch && !json && isatty(STDOUT_FILENO)) std::cout << "\033[H\033[J";
    if (!status.ok()) ReportError(status.status());  // a router that starts again is shown when it is back
    else if (json) PrintJson(*status, experts);
    else PrintTables(*status, experts);
    if (!watch) return 0;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace atoll::cli
