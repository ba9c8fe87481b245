// `atoll up`: a router, attention nodes and expert nodes as processes on this machine, for as long as it runs itself.

#include <unistd.h>

#include <chrono>
#include <climits>
#include <csignal>
#include <iostream>
#include <map>

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
      std::cout << "ready " << address_ << std::endl;
      started = Watch();
    }
    Stop();
    if (started.ok()) return 0;
    std::cerr << (ready ? "atoll up: " : "atoll up: cannot start: ") << started.message() << std::endl;
    return 1;
  }

 private:
  // OK also when the user asked for the end meanwhile (stop_ is then set).
  absl::Status Start() {
    ATOLL_RETURN_IF_ERROR(Spawn({"router", folder_ + "atoll-router", options_.RouterArguments()}));
    ATOLL_RETURN_IF_ERROR(WaitFor([&] { return !address_.empty(); }));
    if (stop_) return absl::CancelledError("stopped");
    for (int64_t i = 0; i < options_.experts; ++i)
      ATOLL_RETURN_IF_ERROR(Spawn({absl::StrCat("expert-", i), folder_ + "atoll-expert", options_.ExpertArguments(address_, i)}));
    for (int64_t i = 0; i < options_.attention; ++i)
      ATOLL_RETURN_IF_ERROR(Spawn({absl::StrCat("attention-", i), folder_ + "atoll-attention", options_.AttentionArguments(address_, i)}));
    RouterClient router(address_);
    ATOLL_RETURN_IF_ERROR(WaitFor([&] {
      const absl::StatusOr<ClusterStatus> status = router.GetStatus(false, 1000);
      return status.ok() && status->ready && NodesReady(*status);
    }));
    return stop_ ? absl::CancelledError("stopped") : absl::OkStatus();
  }

  bool NodesReady(const ClusterStatus& status) const {
    int64_t ready = 0;
    for (const NodeRow& node : status.nodes) ready += node.state == "ready";
    return ready >= options_.attention + options_.experts;
  }

  absl::Status Spawn(ChildSpec spec) {
    born_[spec.label] = Clock::now();
    return children_.Spawn(std::move(spec)).status();
  }

  template <typename Done>
  absl::Status WaitFor(Done done) {
    while (!stop_ && !done()) {
      stop_ = children_.Wait(20, events_);
      if (!first_death_.ok()) return first_death_;
    }
    return absl::OkStatus();
  }

  absl::Status Watch() {
    serving_ = true;
    while (!stop_) {
      stop_ = children_.Wait(restarts_.empty() ? 1000 : 20, events_);
      if (!first_death_.ok()) return first_death_;
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
    if (child.spec.label != "router" || !line.starts_with("listening ")) return;
    address_ = line.substr(10);
    options_.listen = address_;  // a router that starts again takes the same port
  }

  void OnExit(Child& child) {
    if (stopping_) return;
    const std::string text = absl::StrCat(child.spec.label, " ", child.ExitText());
    if (!serving_ || options_.no_restart) {
      if (first_death_.ok())
        first_death_ = absl::UnavailableError(child.last_error_line.empty() ? text : absl::StrCat(text, ": ", child.last_error_line));
      return;
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
  absl::Status first_death_;
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
  options.ReadFileAndEnvironment();
  if (const int code = options.Parse(argc, argv); code >= 0) return code;
  return LocalCluster(std::move(chosen)).Run();
}

}  // namespace atoll::cli
