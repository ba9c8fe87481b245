// Balance on recorded expert loads: EPLB, EPLB with the exact split, ours and the bound, beside the bars. Exits with 1
// where a bar is missed (times never fail it).
//   balance_bench            every 6th layer, under a minute of processor time
//   balance_bench --all      every layer, many minutes

#include <cstdio>
#include <cstring>

#include "tests/bench/balance/profiles.h"

int main(int argc, char** argv) {
  using namespace atoll::bench;
  Scale scale;
  if (argc > 1 && std::strcmp(argv[1], "--all") == 0) scale = {.layer_step = 1, .batches = 20};
  const std::vector<Profile> profiles = LoadProfiles();
  std::printf("%zu profiles, every %d. of %zu layers, %d batches each; imbalance = busiest node / mean - 1\n", profiles.size(), scale.layer_step,
              profiles[0].layers.size(), scale.batches);
  std::printf("| %-54s | %-8s | %-10s | %-12s | %-6s |\n", "", "EPLB", "Atoll", "bar", "");
  Results results;
  RunPlanCase(profiles, scale, results);
  RunSplitCase(profiles, scale, results);
  RunDriftCase(profiles, scale, results);
  RunDecodeCase(profiles, scale, results);
  std::printf("%d bars missed\n", results.missed());
  return results.missed() > 0 ? 1 : 0;
}
