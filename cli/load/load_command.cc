// `atoll load`: wires options, target, schedule and report together.

#include "cli/command.h"

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>

#include "absl/strings/str_join.h"
#include "base/options.h"
#include "cli/load/grpc_load_client.h"
#include "cli/load/http/http_load_client.h"
#include "cli/load/load_options.h"
#include "cli/load/plan/duration.h"
#include "cli/load/preparation.h"
#include "cli/load/result/report.h"

namespace atoll::load {
namespace {

constexpr const char* kExamples =
    "  atoll load --address 127.0.0.1:50051 --concurrency 8 --duration 30s\n"
    "  atoll load --address 127.0.0.1:50051 --rate 5 --duration 60s --slo ttft=500ms,tpot=50ms --html report.html\n"
    "  atoll load --address http://127.0.0.1:8000 --rate 2 --chat\n"
    "  atoll load --address 127.0.0.1:50051 --rate 2 --at 10s 'kill -9 4711' --ledger requests.jsonl\n";

std::atomic<bool> g_stop{false};

// The first Ctrl-C ends the test with a report, the second one ends the program.
void OnSignal(int) {
  if (g_stop.exchange(true)) _exit(130);
}

// One line on standard error that rewrites itself; nothing where that is no terminal.
class ProgressDisplay {
 public:
  explicit ProgressDisplay(bool quiet) : shown_(!quiet && isatty(STDERR_FILENO)), color_(!std::getenv("NO_COLOR")) {}
  ~ProgressDisplay() {
    if (shown_) std::cerr << "\r\033[K" << std::flush;
  }
  void Show(const ProgressState& state) const {
    if (shown_) std::cerr << "\r" << ProgressLine(state, Columns(), color_) << "\033[K" << std::flush;
  }

 private:
  static size_t Columns() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79;
  }

  const bool shown_, color_;
};

// The files of a run, opened before it starts: a path that cannot be written is said at once.
struct OutputFiles {
  std::ofstream json, html, ledger;

  absl::Status Open(const LoadOptions& chosen) {
    for (const auto& [name, path, file] : {std::tuple("--json", &chosen.json, &json), {"--html", &chosen.html, &html}, {"--ledger", &chosen.ledger, &ledger}}) {
      if (path->empty()) continue;
      file->open(*path, std::ios::binary | std::ios::trunc);
      if (!file->is_open()) return absl::InvalidArgumentError(absl::StrCat(name, ": cannot write ", *path));
    }
    return absl::OkStatus();
  }
  absl::Status Close() {
    for (const auto& [name, file] : {std::pair("--json", &json), {"--html", &html}, {"--ledger", &ledger}}) {
      if (!file->is_open()) continue;
      file->close();
      if (file->fail()) return absl::UnavailableError(absl::StrCat(name, ": the file could not be written to its end"));
    }
    return absl::OkStatus();
  }
};

std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

std::vector<ServerCounters> Changes(const std::vector<std::pair<std::string, int64_t>>& before, LoadTarget& target) {
  std::vector<ServerCounters> changes;
  const auto after = target.Counters();
  if (!after.ok()) return changes;
  for (const auto& [name, value] : before)
    for (const auto& [other, later] : *after)
      if (name == other) changes.push_back({name, value, later});
  return changes;
}

RunFacts MakeFacts(const LoadPlan& plan, const PreparedLoad& load, const TargetFacts& target) {
  RunFacts facts;
  facts.version = VersionText();
  facts.model = target.model;
  facts.nodes = target.nodes;
  facts.arrivals = plan.ArrivalsText();
  facts.lengths = load.lengths;
  facts.dataset = load.dataset;
  facts.seed = plan.workload.seed;
  facts.in_flight_max = plan.limits.in_flight_max;
  facts.started_at = UtcNow();
  return facts;
}

absl::Status WriteReport(const Report& report, OutputFiles& files) {
  std::cout << ReportText(report) << std::flush;
  const std::string json = ReportJson(report);
  if (files.json.is_open()) files.json << json << "\n";
  if (files.html.is_open()) files.html << ReportHtml(json);
  return files.Close();
}

absl::StatusOr<std::unique_ptr<LoadTarget>> MakeTarget(const LoadOptions& chosen, int64_t in_flight_max) {
  constexpr std::string_view kHttp = "http://";
  if (!chosen.address.starts_with(kHttp)) return MakeGrpcTarget(chosen.address, in_flight_max);
  std::string key;
  std::ifstream file(chosen.api_key_file);
  if (!chosen.api_key_file.empty() && !std::getline(file, key)) return absl::InvalidArgumentError("--api-key-file: cannot read " + chosen.api_key_file);
  return MakeHttpTarget(chosen.address.substr(kHttp.size()), key);
}

// The exit status.
absl::StatusOr<int> Load(const LoadOptions& chosen, LoadPlan plan, const std::string& command_line) {
  OutputFiles files;
  ATOLL_RETURN_IF_ERROR(files.Open(chosen));
  ATOLL_ASSIGN_OR_RETURN(std::unique_ptr<LoadTarget> target, MakeTarget(chosen, plan.limits.in_flight_max));
  ATOLL_ASSIGN_OR_RETURN(const TargetFacts described, target->Describe());
  plan.workload.run_id = absl::StrCat("load-", getpid(), "-", std::time(nullptr));
  ATOLL_ASSIGN_OR_RETURN(PreparedLoad load, Prepare(chosen, plan, described, *target));
  if (plan.arrivals == "trace") plan.limits.requests_max = std::min(plan.limits.requests_max, static_cast<int64_t>(load.times_ns.size()));
  ATOLL_ASSIGN_OR_RETURN(const auto counters, target->Counters());
  RunFacts facts = MakeFacts(plan, load, described);
  facts.command_line = command_line;
  facts.target = chosen.address;
  const std::unique_ptr<SendSchedule> schedule = plan.MakeSchedule(std::move(load.times_ns));

  FaultRunner faults(plan.faults, plan.fault_longest_ns);
  const SteadyClock clock;
  const double cpu_before = CpuSeconds();
  std::optional<ProgressDisplay> display(chosen.quiet);
  LoadRun run({target.get(), schedule.get(), &load.workload, &faults, &clock}, plan.limits, plan.slo,
              {.on_record = [&](const RequestRecord& record) { if (files.ledger.is_open()) files.ledger << LedgerLine(record) << "\n"; },
               .on_progress = [&](const ProgressState& state) { display->Show(state); }});
  run.Run(g_stop);
  display.reset();
  facts.client_cpu_seconds = CpuSeconds() - cpu_before;
  facts.wall_ns = run.wall_ns();
  facts.interrupted = g_stop;
  const Report report{run.statistics(), facts, faults.Finish(run.wall_ns()), Changes(counters, *target)};
  target.reset();  // a call that outlived the run must not find it gone
  ATOLL_RETURN_IF_ERROR(WriteReport(report, files));
  const Tally& all = run.statistics().all();
  return all.hung > 0 || all.of(Outcome::kOk) + all.of(Outcome::kCancelled) == 0 ? 1 : 0;
}

}  // namespace
}  // namespace atoll::load

namespace atoll::cli {

int RunLoad(int argc, const char* const* argv) {
  load::LoadOptions chosen;
  Options options({"atoll load", "Sends requests to a cluster and says how it answers them.", load::kExamples, 1});
  chosen.Define(&options);
  const std::vector<std::string> words = load::JoinFaultWords(argc, argv);
  std::vector<const char*> joined;
  for (const std::string& word : words) joined.push_back(word.c_str());
  if (const int code = options.Parse(static_cast<int>(joined.size()), joined.data()); code >= 0) return code;
  const absl::StatusOr<load::LoadPlan> plan = load::MakePlan(chosen, options);
  if (absl::IsFailedPrecondition(plan.status())) return std::cerr << "atoll load: " << plan.status().message() << "\n", 2;
  if (!plan.ok()) return ReportError(plan.status());
  std::signal(SIGINT, load::OnSignal);
  std::signal(SIGTERM, load::OnSignal);
  const absl::StatusOr<int> code = load::Load(chosen, *plan, absl::StrCat("atoll ", absl::StrJoin(argv, argv + argc, " ")));
  return code.ok() ? *code : ReportError(code.status());
}

}  // namespace atoll::cli
