// Balance on recorded expert loads: EPLB, EPLB with the exact split, ours and the bound, beside the bars. Exits with 1
// where a bar is missed (times never fail it).
//   balance_bench            every 6th layer, a few minutes of processor time
//   balance_bench --all      every layer, some ten minutes
//   balance_bench [--all] plan split drift decode routing_bias replica_bias      only these

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/balance/profiles.h"

int main(int argc, char** argv) {
  using namespace atoll::bench;
  std::vector<std::string> names(argv + 1, argv + argc);
  Scale scale;
  if (std::erase(names, "--all") > 0) scale = {.layer_step = 1, .batches = 20};
  const std::vector<Profile> profiles = LoadProfiles();
  Results results;
  const std::pair<const char*, std::function<void()>> cases[] = {
      {"plan", [&] { RunPlanCase(profiles, scale, results); }},
      {"split", [&] { RunSplitCase(profiles, scale, results); }},
      {"drift", [&] { RunDriftCase(profiles, scale, results); }},
      {"decode", [&] { RunDecodeCase(profiles, scale, results); }},
      {"routing_bias", [&] { RunRoutingBiasCase(scale, results); }},
      {"replica_bias", [&] { RunReplicaBiasCase(profiles, scale, results); }},
  };
  for (const std::string& name : names) {
    if (std::none_of(std::begin(cases), std::end(cases), [&](const auto& one) { return name == one.first; })) {
      std::fprintf(stderr, "balance_bench: %s is no case; expected --all, plan, split, drift, decode, routing_bias or replica_bias\n", name.c_str());
      return 2;
    }
  }
  std::printf("%zu profiles, every %d. of %zu layers, %d batches each; imbalance = busiest node / mean - 1\n", profiles.size(), scale.layer_step,
              profiles[0].layers.size(), scale.batches);
  std::printf("| %-54s | %-8s | %-10s | %-12s | %-6s |\n", "", "EPLB", "Atoll", "bar", "");
  for (const auto& [name, run] : cases)
    if (names.empty() || std::find(names.begin(), names.end(), name) != names.end()) run();
  std::printf("%d bars missed\n", results.missed());
  return results.missed() > 0 ? 1 : 0;
}
