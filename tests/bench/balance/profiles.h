#pragma once

// Loads to judge on, and the table of results beside their bars.

#include <ctime>
#include <string>
#include <vector>

#include "router/placement/layer_placement.h"

namespace atoll::bench {

struct Profile {
  std::string name;
  std::vector<std::vector<double>> layers;  // [MoE layers][experts]
};

// The recorded loads in ../shared/data/expert_load by name; made ones, saying so, where that folder is absent.
std::vector<Profile> LoadProfiles();

// PlanFull of these loads on `nodes` equal nodes, made once per program however many cases ask; `us` if not null: what
// making it took.
const router::LayerPlacement& FullPlan(const std::vector<double>& loads, int32_t nodes, int32_t slots, double* us = nullptr);

// How much of everything is run.
struct Scale {
  int layer_step = 6;   // every so many layers
  int batches = 5;      // per layer and profile
};

class Results {
 public:
  // One row. `bar`: the highest figure that is good enough.
  void AtMost(const std::string& name, double eplb, double figure, double bar, const std::string& unit);
  void AtLeast(const std::string& name, double eplb, double figure, double bar, const std::string& unit);
  // A time: printed beside EPLB's, never failed.
  void Time(const std::string& name, double eplb, double figure, double bar, const std::string& unit);
  void Note(const std::string& text);
  int missed() const { return missed_; }

 private:
  void Row(const std::string& name, double eplb, double figure, const std::string& bar, const std::string& verdict);
  int missed_ = 0;
};

// Processor time of this thread, so that other work on the machine does not count.
class Stopwatch {
 public:
  Stopwatch() { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start_); }
  double us() const {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec - start_.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec - start_.tv_nsec) * 1e-3;
  }

 private:
  timespec start_;
};

void RunPlanCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results);
void RunSplitCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results);
void RunDriftCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results);
void RunDecodeCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results);
void RunRoutingBiasCase(const Scale& scale, Results& results);
void RunReplicaBiasCase(const std::vector<Profile>& profiles, const Scale& scale, Results& results);

}  // namespace atoll::bench
