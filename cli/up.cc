// `atoll up`: a router, attention nodes and expert nodes as processes on this machine, for as long as it runs itself.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <csignal>
#include <iostream>
#include <map>
#include <optional>
#include <utility>

#include "base/log.h"
#include "cli/children.h"
#include "cli/command.h"
#include "cli/router_client.h"
#include "cli/up_options.h"

namespace atoll::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFirstDelay{100}, kLongestDelay{5000}, kLongLife{30000};
constexpr milliseconds kDrain{6000}, kNodesEnd{2000};
constexpr milliseconds kPlacementTime{5000};  // from the last node's joining to a placement, at most
constexpr int kExitConfiguration = 78;

std::string FolderOfThisProgram() {
  char path[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  const std::string whole(path, n > 0 ? static_cast<size_t>(n) : 0);
  return whole.substr(0, whole.rfind('/') + 1);
}

// When a child that died is started again: at once, then later and later, from the start again after a long life.
struct Restart {
  ChildSpec spec;
  Clock::time_point at;
};

class LocalCluster {
 public:
  explicit LocalCluster(UpOptions options) : options_(std::move(options)), folder_(FolderOfThisProgram()) {}

  int Run() {
    absl::Status started = Start();
    const bool ready = started.ok();
    if (ready) {
      std::cout << "http " << options_.listen_http << "\nmetrics " << options_.listen_metrics << "\nready " << address_ << std::endl;
      started = Watch();
    }
    Stop();
    if (started.ok()) return 0;
    std::cerr << (ready ? "atoll up: " : "atoll up: cannot start: ") << started.message() << std::endl;
    return exit_status_;
  }

 private:
  // OK also when the user asked for the end meanwhile (stop_ is then set).
  absl::Status Start() {
    ATOLL_RETURN_IF_ERROR(Spawn({"router", folder_ + "atoll-router", options_.RouterArguments()}));
    ATOLL_RETURN_IF_ERROR(WaitFor([&] { return !address_.empty(); }));
    if (stop_) return Stopped();
    for (int64_t i = 0; i < options_.experts; ++i)
      ATOLL_RETURN_IF_ERROR(Spawn({absl::StrCat("expert-", i), folder_ + "atoll-expert", options_.ExpertArguments(address_, i)}));
    for (int64_t i = 0; i < options_.attention; ++i)
      ATOLL_RETURN_IF_ERROR(Spawn({absl::StrCat("attention-", i), folder_ + "atoll-attention", options_.AttentionArguments(address_, i)}));
    RouterClient router(address_);
    ATOLL_RETURN_IF_ERROR(WaitFor([&] {
      const absl::StatusOr<ClusterStatus> status = router.GetStatus(false, 1000);
      return status.ok() && IsUp(*status);
    }));
    return stop_ ? Stopped() : absl::OkStatus();
  }

  static absl::Status Stopped() { return absl::CancelledError("it was stopped before it was ready"); }

  bool IsUp(const ClusterStatus& status) {
    if (std::exchange(waits_for_, status.not_ready_reason) != status.not_ready_reason) LogInfo("waiting: ", waits_for_);
    const int64_t nodes = options_.attention + options_.experts;
    const int64_t ready = std::count_if(status.nodes.begin(), status.nodes.end(), [](const NodeRow& node) { return node.state == "ready"; });
    // All nodes are there and no experts were placed on them: no time will change that.
    const bool unplaced = static_cast<int64_t>(status.nodes.size()) >= nodes && status.epoch == 0;
    if (!unplaced) unplaced_since_.reset();
    else if (!unplaced_since_) unplaced_since_ = Clock::now();
    else if (Clock::now() - *unplaced_since_ > kPlacementTime) Fail(absl::FailedPreconditionError(status.not_ready_reason), kExitConfiguration);
    return status.ready && ready >= nodes;
  }

  void Fail(absl::Status reason, int exit_status) {
    if (!failure_.ok()) return;
    failure_ = std::move(reason);
    exit_status_ = exit_status;
  }

  absl::Status Spawn(ChildSpec spec) {
    born_[spec.label] = Clock::now();
    return children_.Spawn(std::move(spec)).status();
  }

  template <typename Done>
  absl::Status WaitFor(Done done) {
    while (!stop_ && !done()) {
      stop_ = children_.Wait(20, events_);
      if (!failure_.ok()) return failure_;
    }
    return absl::OkStatus();
  }

  absl::Status Watch() {
    serving_ = true;
    while (!stop_) {
      stop_ = children_.Wait(restarts_.empty() ? 1000 : 20, events_);
      if (!failure_.ok()) return failure_;
      ATOLL_RETURN_IF_ERROR(StartAgain());
    }
    return absl::OkStatus();
  }

  absl::Status StartAgain() {
    for (size_t i = 0; i < restarts_.size();) {
      if (Clock::now() < restarts_[i].at) { ++i; continue; }
      ChildSpec spec = std::move(restarts_[i].spec);
      restarts_.erase(restarts_.begin() + static_cast<std::ptrdiff_t>(i));
      LogInfo("starting ", spec.label, " again");
      ATOLL_RETURN_IF_ERROR(Spawn(std::move(spec)));
    }
    return absl::OkStatus();
  }

  void OnLine(Child& child, const std::string& line) {
    if (child.spec.label != "router") return;
    // A router that starts again takes the same ports.
    if (line.starts_with("http ")) options_.listen_http = line.substr(5);
    if (line.starts_with("metrics ")) options_.listen_metrics = line.substr(8);
    if (line.starts_with("listening ")) address_ = options_.listen = line.substr(10);
  }

  void OnExit(Child& child) {
    if (stopping_) return;
    const std::string text = absl::StrCat(child.spec.label, " ", child.ExitText());
    if (!serving_ || options_.no_restart) {
      const bool configuration = WIFEXITED(child.wait_status) && WEXITSTATUS(child.wait_status) == kExitConfiguration;
      return Fail(absl::UnavailableError(child.last_error_line.empty() ? text : absl::StrCat(text, ": ", child.last_error_line)),
                  configuration ? kExitConfiguration : 1);
    }
    milliseconds& delay = delays_[child.spec.label];
    if (Clock::now() - born_[child.spec.label] > kLongLife) delay = milliseconds(0);
    LogWarning(text, "; it is started again in ", delay.count(), " ms");
    ChildSpec spec = child.spec;
    if (spec.label == "router") spec.arguments = options_.RouterArguments();
    restarts_.push_back({std::move(spec), Clock::now() + delay});
    delay = std::min(kLongestDelay, std::max(kFirstDelay, delay * 2));
  }

  // The router first, so that running requests end in order; a second signal, or too long a wait, ends everything.
  void Stop() {
    stopping_ = true;
    for (Child* child : Labelled("router")) children_.Signal(*child, SIGTERM);
    Await([&] { return Labelled("router").empty(); }, stop_ ? kDrain : milliseconds(1000));
    children_.SignalAll(SIGTERM);
    Await([&] { return children_.running() == 0; }, kNodesEnd);
    children_.SignalAll(SIGKILL);
    Await([&] { return children_.running() == 0; }, kNodesEnd);
  }

  template <typename Done>
  void Await(Done done, milliseconds longest) {
    const Clock::time_point end = Clock::now() + longest;
    while (!done() && Clock::now() < end)
      if (children_.Wait(20, events_)) return;
  }

  std::vector<Child*> Labelled(const std::string& label) { return children_.Running(label); }

  UpOptions options_;
  const std::string folder_;
  Children children_;
  const Children::Events events_{[this](Child& child, const std::string& line) { OnLine(child, line); },
                                 [this](Child& child) { OnExit(child); }};
  std::string address_;
  bool serving_ = false, stopping_ = false, stop_ = false;
  std::string waits_for_;
  std::optional<Clock::time_point> unplaced_since_;
  absl::Status failure_;  // the first one
  int exit_status_ = 1;
  std::vector<Restart> restarts_;
  std::map<std::string, milliseconds> delays_;
  std::map<std::string, Clock::time_point> born_;
};

}  // namespace

int RunUp(int argc, const char* const* argv) {
  SetLogName("atoll up");
  UpOptions chosen;
  Options options({"atoll up", "Starts a whole cluster on this machine and keeps it until Ctrl-C.",
                   "  atoll up --model checkpoints/tales\n"
                   "  atoll up --model DIR --attention 2 --experts 3 --listen 127.0.0.1:0\n"});
  chosen.Define(&options);
  options.Logging();
  options.ReadFileAndEnvironment();
  if (const int code = options.Parse(argc, argv); code >= 0) return code;
  for (const auto& [name, value] : options.Values()) {
    if (name.starts_with("--log-")) chosen.log_arguments.push_back(absl::StrCat(name, "=", value));
  }
  chosen.memory_for_experts = MemoryForExperts();
  return LocalCluster(std::move(chosen)).Run();
}

}  // namespace atoll::cli
