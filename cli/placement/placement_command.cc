// `atoll placement`: who holds which experts, and a word with the balancer.

#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/options.h"
#include "cli/placement/balancer_text.h"
#include "cli/command.h"
#include "cli/placement/placement_client.h"
#include "cli/router_client.h"
#include "cli/placement/table.h"

namespace atoll::cli {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(50);

struct Arguments {
  std::string address;
  bool json = false, full = false, off = false, layers = false;
  int64_t timeout_s = 120;
};

// Replicas of one node over all layers, and how many of them are the only ones.
struct NodeTotals {
  int64_t replicas = 0, alone = 0, layers = 0;
  double share = 0;  // mean over layers with traffic
};

std::vector<NodeTotals> TotalsOf(const PlacementTable& table) {
  std::vector<NodeTotals> totals(table.nodes.size());
  for (const PlacedLayer& layer : table.layers) {
    for (const std::vector<uint32_t>& nodes : layer.nodes) {
      for (const uint32_t n : nodes) {
        if (n >= totals.size()) continue;
        ++totals[n].replicas;
        totals[n].alone += nodes.size() == 1;
      }
    }
    for (size_t n = 0; n < std::min(totals.size(), layer.expected_share.size()); ++n) {
      totals[n].share += layer.expected_share[n];
      ++totals[n].layers;
    }
  }
  for (NodeTotals& node : totals) node.share = node.layers > 0 ? node.share / static_cast<double>(node.layers) : 0;
  return totals;
}

void PrintLayers(const PlacementTable& table) {
  Table rows{{"LAYER", "EXPERT", "NODES (SHARE)"}};
  for (const PlacedLayer& layer : table.layers) {
    for (size_t e = 0; e < layer.nodes.size(); ++e) {
      std::string nodes;
      for (size_t r = 0; r < layer.nodes[e].size(); ++r) {
        const uint32_t n = layer.nodes[e][r];
        absl::StrAppend(&nodes, r ? ", " : "", n < table.nodes.size() ? table.nodes[n].node_id : absl::StrCat("?", n));
        if (r < layer.shares[e].size()) absl::StrAppend(&nodes, absl::StrFormat(" (%.2f)", layer.shares[e][r]));
      }
      rows.push_back({absl::StrCat(layer.layer), absl::StrCat(e), nodes});
    }
  }
  PrintTable(rows);
}

nlohmann::ordered_json TableJson(const PlacementTable& table) {
  nlohmann::ordered_json out{{"epoch", table.epoch}, {"balancer", BalancerJson(table.balancer)}};
  out["nodes"] = nlohmann::ordered_json::array();
  for (const PlacedNode& node : table.nodes)
    out["nodes"].push_back({{"node_id", node.node_id}, {"address", node.address}, {"speed", node.speed}, {"alive", node.alive}});
  out["layers"] = nlohmann::ordered_json::array();
  for (const PlacedLayer& layer : table.layers)
    out["layers"].push_back({{"layer", layer.layer}, {"nodes", layer.nodes}, {"shares", layer.shares}, {"expected_share", layer.expected_share}});
  return out;
}

absl::Status Show(const Arguments& arguments) {
  ATOLL_ASSIGN_OR_RETURN(const PlacementTable table, PlacementClient(arguments.address).Get(true));
  if (arguments.json) return std::cout << TableJson(table).dump() << std::endl, absl::OkStatus();
  std::cout << BalancerText(table.balancer) << "\n\n";
  Table rows{{"NODE", "ALIVE", "SPEED", "REPLICAS", "ONLY COPIES", "EXPECTED SHARE", "ADDRESS"}};
  const std::vector<NodeTotals> totals = TotalsOf(table);
  for (size_t n = 0; n < table.nodes.size(); ++n) {
    const PlacedNode& node = table.nodes[n];
    rows.push_back({node.node_id, node.alive ? "yes" : "no", absl::StrFormat("%.2f", node.speed), absl::StrCat(totals[n].replicas),
                    absl::StrCat(totals[n].alone), totals[n].layers > 0 ? absl::StrFormat("%.1f %%", 100 * totals[n].share) : "-", node.address});
  }
  PrintTable(rows);
  if (arguments.layers) std::cout << "\n", PrintLayers(table);
  std::cout << std::flush;
  return absl::OkStatus();
}

void Say(const Arguments& arguments, const Balancer& balancer, const std::string& text) {
  if (arguments.json) std::cout << BalancerJson(balancer).dump() << std::endl;
  else std::cout << text << std::endl;
}

absl::Status Plan(const Arguments& arguments) {
  PlacementClient client(arguments.address);
  ATOLL_RETURN_IF_ERROR(client.Change(arguments.full ? PlacementAction::kPlanFull : PlacementAction::kPlan));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(arguments.timeout_s);
  for (;;) {
    ATOLL_ASSIGN_OR_RETURN(const PlacementTable table, client.Get(false));
    const Balancer& balancer = table.balancer;
    if (balancer.proposed) return Say(arguments, balancer, PlanText(*balancer.proposed) + "\ncarry it out with `atoll placement apply`"), absl::OkStatus();
    if (!balancer.planning)
      return absl::FailedPreconditionError(balancer.last_plan.failure.empty() ? "the cluster changed while the plan was made; plan again" : balancer.last_plan.failure);
    if (std::chrono::steady_clock::now() > until) return absl::DeadlineExceededError(absl::StrCat("no plan within ", arguments.timeout_s, " s"));
    std::this_thread::sleep_for(kPoll);
  }
}

absl::Status Change(const Arguments& arguments, PlacementAction action) {
  PlacementClient client(arguments.address);
  ATOLL_RETURN_IF_ERROR(client.Change(action));
  ATOLL_ASSIGN_OR_RETURN(const PlacementTable table, client.Get(false));
  Say(arguments, table.balancer, BalancerText(table.balancer));
  return absl::OkStatus();
}

absl::Status Apply(const Arguments& arguments) { return Change(arguments, PlacementAction::kApply); }
absl::Status Freeze(const Arguments& arguments) { return Change(arguments, arguments.off ? PlacementAction::kUnfreeze : PlacementAction::kFreeze); }

// What the cluster saw since the router's start, as `atoll balance-sim --load` and `atoll-router --expert-load` read it.
absl::Status Export(const Arguments& arguments, const std::string& path) {
  ATOLL_ASSIGN_OR_RETURN(const ClusterStatus status, RouterClient(arguments.address).GetStatus(true, 10000));
  size_t layers = 0, experts = 0;
  for (const LayerLoad& layer : status.layers) layers = std::max<size_t>(layers, layer.layer + 1), experts = std::max(experts, layer.rows.size());
  if (experts == 0) return absl::FailedPreconditionError("no expert has seen a row yet; there is nothing to export");
  std::vector<std::vector<uint64_t>> counts(layers, std::vector<uint64_t>(experts, 0));
  for (const LayerLoad& layer : status.layers) std::copy(layer.rows.begin(), layer.rows.end(), counts[layer.layer].begin());
  std::ofstream file(path);
  file << nlohmann::json{{"logical_count", counts}}.dump() << "\n";
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  std::cout << "wrote " << path << ": " << layers << " layers of " << experts << " experts" << std::endl;
  return absl::OkStatus();
}

const char kExamples[] =
    "  atoll placement show --address 127.0.0.1:50051 --layers\n"
    "  atoll placement plan --full --address 127.0.0.1:50051\n"
    "  atoll placement apply --address 127.0.0.1:50051\n"
    "  atoll placement freeze --address 127.0.0.1:50051     (--off lets it move again)\n"
    "  atoll placement export load.json --address 127.0.0.1:50051\n";

int WrongUse(const std::string& sentence) {
  std::cerr << "atoll placement: " << sentence << "\n\n" << kExamples;
  return 2;
}

}  // namespace

int RunPlacement(int argc, const char* const* argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  const bool exports = verb == "export";
  const std::string path = exports && argc > 2 && argv[2][0] != '-' ? argv[2] : "";
  Arguments arguments;
  Options options({"atoll placement", "show | plan | apply | freeze | export FILE: who holds which experts, and how the balancer is told.", kExamples, 1});
  options.String("--address", &arguments.address, "HOST:PORT of the router");
  options.Require("--address");
  options.Flag("--json", &arguments.json, "one JSON object");
  options.Flag("--layers", &arguments.layers, "show: every expert of every layer");
  options.Flag("--full", &arguments.full, "plan: from scratch, by search, instead of mending what drifted");
  options.Flag("--off", &arguments.off, "freeze: let the balancer move replicas again");
  options.Int("--timeout", &arguments.timeout_s, {1, 3600}, "plan: seconds to wait for it");
  const std::map<std::string, absl::Status (*)(const Arguments&)> verbs{{"show", Show}, {"plan", Plan}, {"apply", Apply}, {"freeze", Freeze}};
  const bool is_verb = exports || verbs.contains(verb);
  const int skipped = !is_verb ? 0 : path.empty() ? 1 : 2;
  if (!is_verb && verb != "--help" && verb != "-h") return WrongUse(verb.empty() ? "say what to do" : "there is no " + verb);
  if (const int code = options.Parse(argc - skipped, argv + skipped); code >= 0) return code;
  if (exports && path.empty()) return WrongUse("export needs a FILE after it");
  const absl::Status status = exports ? Export(arguments, path) : verbs.at(verb)(arguments);
  return status.ok() ? 0 : ReportError(status);
}

}  // namespace atoll::cli
