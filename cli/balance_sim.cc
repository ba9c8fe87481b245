// `atoll balance-sim`.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/options.h"
#include "cli/balance_sim_run.h"
#include "cli/command.h"

namespace atoll::cli {
namespace {

constexpr const char* kExamples =
    "  atoll balance-sim --load profiles/ --nodes 32 --slots 9 --tokens 4096\n"
    "  atoll balance-sim --load profiles/ --nodes 72 --slots 5 --plan full --json --placement-out placement.json\n";

nlohmann::json JsonOf(const ImbalanceFigures& figures) { return {{"mean", figures.mean}, {"p99", figures.p99}}; }

void PrintJson(const BalanceFigures& figures, const BalanceSimOptions& sim) {
  const nlohmann::json json{{"nodes", sim.nodes},           {"slots", sim.slots},           {"tokens", sim.tokens},
                            {"sigma", sim.sigma},           {"layers", figures.layers},     {"plan", sim.plan},
                            {"eplb", JsonOf(figures.eplb)}, {"eplb_lp", JsonOf(figures.eplb_lp)},
                            {"atoll", JsonOf(figures.atoll)}, {"bound", JsonOf(figures.bound)}};
  std::cout << json.dump() << std::endl;
}

void PrintTable(const BalanceFigures& figures, const BalanceSimOptions& sim, size_t files) {
  std::printf("%lld layers of %zu files; %lld nodes x %lld slots, batches of %lld tokens, sigma %g, %s plan\n",
              static_cast<long long>(figures.layers), files, static_cast<long long>(sim.nodes), static_cast<long long>(sim.slots),
              static_cast<long long>(sim.tokens), sim.sigma, sim.plan.c_str());
  std::printf("busiest node above the mean     mean      p99\n");
  const std::pair<const char*, const ImbalanceFigures*> rows[] = {{"EPLB, even split", &figures.eplb},
                                                                  {"EPLB, exact split", &figures.eplb_lp},
                                                                  {"Atoll, exact split", &figures.atoll},
                                                                  {"bound of any placement", &figures.bound}};
  for (const auto& [name, row] : rows) std::printf("%-26s %7.3f %% %7.3f %%\n", name, 100 * row->mean, 100 * row->p99);
  std::fflush(stdout);
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file.good()) return absl::UnavailableError(absl::StrCat("--placement-out: cannot write ", path));
  return absl::OkStatus();
}

absl::Status Simulate(const std::string& folder, const BalanceSimOptions& sim, const std::string& placement_out, bool json) {
  ATOLL_ASSIGN_OR_RETURN(const std::vector<router::ExpertLoads> files, router::ReadExpertLoadFolder(folder));
  ATOLL_ASSIGN_OR_RETURN(const BalanceFigures figures, SimulateBalance(files, sim));
  if (figures.layers_empty > 0)
    std::cerr << figures.layers_empty << " of " << files[0].counts.size() << " layers have no load and are skipped" << std::endl;
  if (!placement_out.empty()) {
    ATOLL_ASSIGN_OR_RETURN(const std::string text, PlacementJson(MeanShares(files), sim));
    ATOLL_RETURN_IF_ERROR(WriteFile(placement_out, text));
  }
  json ? PrintJson(figures, sim) : PrintTable(figures, sim, files.size());
  return absl::OkStatus();
}

}  // namespace

int RunBalanceSim(int argc, const char* const* argv) {
  std::string folder, placement_out;
  BalanceSimOptions sim;
  bool json = false;
  Options options({"atoll balance-sim", "Places recorded expert loads and says how even batches come out, beside EPLB.", kExamples, 1});
  options.String("--load", &folder, "folder of JSON files with logical_count [layers][experts]");
  options.Int("--nodes", &sim.nodes, {1, 4096}, "expert nodes");
  options.Int("--slots", &sim.slots, {1, 65536}, "replicas of a layer that fit on one node");
  options.Int("--tokens", &sim.tokens, {1, 1 << 24}, "tokens of a batch");
  options.Int("--top-k", &sim.top_k, {1, 1024}, "experts per token");
  options.Int("--batches", &sim.batches, {1, 100000}, "batches drawn per layer and file");
  options.Float("--sigma", &sim.sigma, {0, 3}, "noise of an expert's popularity from batch to batch");
  options.Int("--seed", &sim.seed, {0, INT64_MAX - 1}, "same seed, same figures");
  options.Choice("--plan", &sim.plan, {"quick", "full"}, "the planner for events, or the one for the schedule");
  options.Flag("--json", &json, "one JSON object; imbalances as max / mean - 1");
  options.String("--placement-out", &placement_out, "write the placement for the mean of all files here");
  options.Require("--load");
  if (const int code = options.Parse(argc, argv); code >= 0) return code;
  const absl::Status done = Simulate(folder, sim, placement_out, json);
  return done.ok() ? 0 : ReportError(done);
}

}  // namespace atoll::cli
