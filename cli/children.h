#pragma once

// The processes of a cluster on this machine. Owned by the main thread, which must be the one that spawns: a child is
// tied to the life of the thread that forked it, so that none survives `atoll up`, however that ends.

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace atoll::cli {

struct ChildSpec {
  std::string label;    // for log lines, for example "atoll-expert e1"
  std::string program;  // path of the executable
  std::vector<std::string> arguments;
};

// One spawned process; its output comes line by line.
struct Child {
  ChildSpec spec;
  pid_t pid = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  std::string stdout_partial, stderr_partial;
  std::string last_error_line;
  bool running = false;
  int wait_status = 0;

  std::string ExitText() const;  // "ended with status 78", "was ended by signal 9"
};

class Children {
 public:
  // Blocks SIGINT, SIGTERM and SIGCHLD for this process; Wait takes them.
  Children();
  ~Children();  // ends every child that still runs, by SIGKILL
  Children(const Children&) = delete;

  absl::StatusOr<Child*> Spawn(ChildSpec spec);

  struct Events {
    std::function<void(Child&, const std::string& line)> on_stdout_line;
    std::function<void(Child&)> on_exit;
  };
  // Handles output, exits and signals until `timeout_ms` has passed or something was handled; standard error lines are
  // passed on to ours. True when SIGINT or SIGTERM came.
  bool Wait(int timeout_ms, const Events& events);

  void Signal(Child& child, int signal);
  void SignalAll(int signal);
  int running() const;
  std::vector<Child*> Running(const std::string& label);

 private:
  bool TakeSignals(const Events& events);
  void TakeExits(const Events& events);
  void TakeOutput(Child& child, const Events& events);

  int signal_fd_ = -1;
  std::vector<std::unique_ptr<Child>> children_;
};

}  // namespace atoll::cli
