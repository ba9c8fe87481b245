#pragma once

// The options of `atoll load`, and what they mean together.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/status.h"
#include "cli/load/load_run.h"
#include "cli/load/plan/fault_schedule.h"
#include "cli/load/plan/schedule.h"
#include "cli/load/plan/workload.h"
#include "cli/load/result/slo.h"

namespace atoll::load {

struct LoadOptions {
  std::string address, api_key_file;
  std::string arrivals, think = "0s", ramp = "0s";
  double rate = 1, burstiness = 1, ramp_from = 0, trace_speed = 1;
  int64_t concurrency = 8;
  std::string duration, warmup = "0s", hang_after = "60s", fault_timeout = "30s";
  int64_t requests = 0, in_flight_max = 4096;
  std::string dataset = "builtin", prompt_tokens, output_tokens;
  int64_t dataset_limit = 10000, seed = 0;
  bool in_order = false, chat = false, stop_at_eos = false, quiet = false;
  double temperature = 1, cancel_share = 0;
  std::string slo;
  std::vector<std::string> at;
  std::string json, html, ledger;

  void Define(Options* options);
};

// The options, read and checked.
struct LoadPlan {
  std::string arrivals;  // closed, poisson, gamma, constant or trace
  OpenLoop open;
  ClosedLoop closed;
  double trace_speed = 1;
  RunLimits limits;
  WorkloadOptions workload;
  Slo slo;
  std::vector<Fault> faults;
  int64_t fault_longest_ns = 0;

  std::string ArrivalsText() const;
  // `times_ns`: of a trace.
  std::unique_ptr<SendSchedule> MakeSchedule(std::vector<int64_t> times_ns) const;
};

// INVALID_ARGUMENT for a value, FAILED_PRECONDITION for options that do not go together.
absl::StatusOr<LoadPlan> MakePlan(const LoadOptions& chosen, const Options& options);

}  // namespace atoll::load
