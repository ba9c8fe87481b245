#pragma once

// A finished run as text, as JSON and as one HTML file.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cli/load/result/statistics.h"

namespace atoll::load {

// A command of the fault schedule, as it went.
struct FaultResult {
  int64_t at_ns = 0, started_ns = 0, ended_ns = 0;
  std::string command;
  std::string exit;    // "status 0", "signal 9", "ended by force after 30 s"
  std::string output;  // its last bytes
};

// What the server counted between the run's start and its end.
struct ServerCounters {
  std::string name;
  int64_t before = 0, after = 0;
};

struct RunFacts {
  std::string command_line, version, target, model, arrivals, lengths, dataset;
  std::vector<std::string> nodes;       // "attention-0 attention avx512"
  std::string started_at;               // UTC, ISO 8601
  int64_t wall_ns = 0;
  int64_t in_flight_max = 0;            // the client's own limit
  uint64_t seed = 0;
  bool interrupted = false;
  double client_cpu_seconds = 0;
};

struct Report {
  const Statistics& statistics;
  RunFacts facts;
  std::vector<FaultResult> faults;
  std::vector<ServerCounters> server;  // empty where the target has none
};

// For people, some 20 lines. A sentence stands in front where the figures should not be trusted: late client, empty window.
std::string ReportText(const Report& report);

// Everything, as one JSON object (docs/load_testing.md names the fields).
std::string ReportJson(const Report& report);

// One self-contained page: the JSON of `ReportJson`, the plot library and what draws them.
std::string ReportHtml(const std::string& report_json);

}  // namespace atoll::load
