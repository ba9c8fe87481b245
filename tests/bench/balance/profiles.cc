#include "tests/bench/balance/profiles.h"

#include <cmath>
#include <cstdio>
#include <map>
#include <tuple>

#include "router/placement/full_plan.h"
#include "router/placement/load_file/expert_load_file.h"
#include "router/placement/seeded_random.h"

namespace atoll::bench {
namespace {

// Lognormal popularity of about the recorded skew; each profile drifts from the one before.
std::vector<Profile> MadeProfiles() {
  router::SeededRandom random(2026);
  std::vector<Profile> profiles;
  std::vector<std::vector<double>> logs(58, std::vector<double>(256));
  for (auto& layer : logs)
    for (double& x : layer) x = 0.75 * random.Gaussian();
  for (int i = 0; i < 8; ++i) {
    Profile profile{"made-" + std::to_string(i), {}};
    for (auto& layer : logs) {
      profile.layers.emplace_back();
      for (double& x : layer) {
        x = 0.9 * x + 0.75 * std::sqrt(1 - 0.81) * random.Gaussian();
        profile.layers.back().push_back(1e6 * std::exp(x));
      }
    }
    profiles.push_back(std::move(profile));
  }
  return profiles;
}

}  // namespace

std::vector<Profile> LoadProfiles() {
  const std::string folder = std::string(ATOLL_SOURCE_DIR) + "/../shared/data/expert_load";
  const auto files = router::ReadExpertLoadFolder(folder);
  if (!files.ok()) {
    std::printf("RECORDED LOADS ABSENT (%s): made ones instead; the bars were set on recorded ones\n", std::string(files.status().message()).c_str());
    return MadeProfiles();
  }
  std::vector<Profile> profiles;
  for (const router::ExpertLoads& file : *files) {
    Profile profile{file.name, {}};
    for (size_t layer = 0; layer < file.counts.size(); ++layer)
      if (file.HasLoad(layer)) profile.layers.push_back(file.counts[layer]);
    profiles.push_back(std::move(profile));
  }
  return profiles;
}

const router::LayerPlacement& FullPlan(const std::vector<double>& loads, int32_t nodes, int32_t slots, double* us) {
  struct Made {
    router::LayerPlacement plan;
    double us;
  };
  static std::map<std::tuple<int32_t, int32_t, std::vector<double>>, Made> made;
  const auto [entry, is_new] = made.try_emplace({nodes, slots, loads});
  if (is_new) {
    Stopwatch watch;
    entry->second.plan = *router::PlanFull(loads, router::LayerNodes::Even(nodes, slots), {});
    entry->second.us = watch.us();
  }
  if (us != nullptr) *us = entry->second.us;
  return entry->second.plan;
}

void Results::Row(const std::string& name, double eplb, double figure, const std::string& bar, const std::string& verdict) {
  if (std::isnan(eplb)) {
    std::printf("| %-54s |          | %10.4g | %-12s | %-6s |\n", name.c_str(), figure, bar.c_str(), verdict.c_str());
  } else {
    std::printf("| %-54s | %8.4g | %10.4g | %-12s | %-6s |\n", name.c_str(), eplb, figure, bar.c_str(), verdict.c_str());
  }
  std::fflush(stdout);
}

void Results::AtMost(const std::string& name, double eplb, double figure, double bar, const std::string& unit) {
  char text[32];
  std::snprintf(text, sizeof text, "<= %g %s", bar, unit.c_str());
  missed_ += figure <= bar ? 0 : 1;
  Row(name, eplb, figure, text, figure <= bar ? "met" : "MISSED");
}

void Results::AtLeast(const std::string& name, double eplb, double figure, double bar, const std::string& unit) {
  char text[32];
  std::snprintf(text, sizeof text, ">= %g %s", bar, unit.c_str());
  missed_ += figure >= bar ? 0 : 1;
  Row(name, eplb, figure, text, figure >= bar ? "met" : "MISSED");
}

void Results::Time(const std::string& name, double eplb, double figure, double bar, const std::string& unit) {
  char text[32];
  std::snprintf(text, sizeof text, "<= %g %s", bar, unit.c_str());
  Row(name, eplb, figure, text, figure <= bar ? "met" : "above");
}

void Results::Note(const std::string& text) { std::printf("%s\n", text.c_str()); }

}  // namespace atoll::bench
