#include "cli/load/fault_runner.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/load/plan/duration.h"

extern char** environ;

namespace atoll::load {
namespace {

constexpr size_t kOutputBytesMax = 400;
constexpr int64_t kPollNs = 20 * kNsPerMs;

// sh with the command; its output goes into `output_end`. A Ctrl-C at the terminal does not reach it.
int SpawnShell(const std::string& command, int output_end, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output_end, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output_end, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::string words[] = {"sh", "-c", command};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  const int error = posix_spawn(pid, "/bin/sh", &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

std::string ExitText(int status) {
  if (WIFEXITED(status)) return absl::StrCat("status ", WEXITSTATUS(status));
  return absl::StrCat("signal ", WTERMSIG(status));
}

}  // namespace

FaultRunner::FaultRunner(const std::vector<Fault>& faults, int64_t longest_ns) : longest_ns_(longest_ns) {
  for (const Fault& fault : faults) {
    Run run;
    run.result.at_ns = fault.at_ns;
    run.result.command = fault.command;
    runs_.push_back(std::move(run));
  }
}

FaultRunner::~FaultRunner() {
  for (Run& run : runs_) {
    if (!run.started || run.ended) continue;
    kill(-run.pid, SIGKILL);
    waitpid(run.pid, nullptr, 0);
    close(run.output_fd);
  }
}

void FaultRunner::Start(Run& run, int64_t now_ns) {
  run.result.started_ns = run.result.ended_ns = now_ns;
  int ends[2];
  int error = pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
  if (error == 0) {
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    error = SpawnShell(run.result.command, ends[1], &run.pid);
    close(ends[1]);
    if (error != 0) close(ends[0]);
    else run.output_fd = ends[0];
  }
  run.started = true;
  run.ended = error != 0;
  if (error != 0) run.result.exit = absl::StrCat("not started: ", std::strerror(error));
}

void FaultRunner::TakeOutput(Run& run) {
  char buffer[4096];
  ssize_t n = 0;
  while ((n = read(run.output_fd, buffer, sizeof buffer)) > 0) {
    run.result.output.append(buffer, static_cast<size_t>(n));
    if (run.result.output.size() > kOutputBytesMax) run.result.output.erase(0, run.result.output.size() - kOutputBytesMax);
  }
}

void FaultRunner::TakeEnd(Run& run, int64_t now_ns) {
  int status = 0;
  if (waitpid(run.pid, &status, WNOHANG) == 0) {
    if (now_ns - run.result.started_ns < longest_ns_ || run.forced) return;
    run.forced = true;
    kill(-run.pid, SIGKILL);
    return;
  }
  TakeOutput(run);
  close(run.output_fd);
  run.ended = true;
  run.result.ended_ns = now_ns;
  std::string& output = run.result.output;
  while (!output.empty() && std::strchr("\n\r\t ", output.back())) output.pop_back();
  std::replace_if(output.begin(), output.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  run.result.exit = run.forced ? absl::StrCat("ended by force after ", DurationText(static_cast<double>(longest_ns_))) : ExitText(status);
}

void FaultRunner::Poll(int64_t now_ns) {
  for (Run& run : runs_) {
    if (run.ended) continue;
    if (!run.started) {
      if (now_ns >= run.result.at_ns) Start(run, now_ns);
      continue;
    }
    TakeOutput(run);
    TakeEnd(run, now_ns);
  }
}

int64_t FaultRunner::NextPollNs(int64_t now_ns) const {
  int64_t next = INT64_MAX;
  for (const Run& run : runs_)
    if (!run.ended) next = std::min(next, run.started ? now_ns + kPollNs : run.result.at_ns);
  return next;
}

std::vector<FaultResult> FaultRunner::Finish(int64_t now_ns) {
  std::vector<FaultResult> results;
  for (Run& run : runs_) {
    for (; run.started && !run.ended; now_ns += kPollNs) {
      TakeOutput(run);
      TakeEnd(run, now_ns);
      if (!run.ended) std::this_thread::sleep_for(std::chrono::nanoseconds(kPollNs));
    }
    if (!run.started) run.result.exit = "not reached";
    results.push_back(run.result);
  }
  return results;
}

}  // namespace atoll::load
