#include "tests/bench/router/router_process.h"

#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "net/grpc/channel.h"
#include "router/app.h"

namespace atoll::router {
namespace {

// Tells its addresses and model fingerprint, then serves.
[[noreturn]] void RunRouter(int pipe) {
  net::PrepareGrpc();
  SetLogLevel(LogLevel::kWarning);
  RouterConfig config;
  config.model = ATOLL_SOURCE_DIR "/checkpoints/tales";
  config.listen = "127.0.0.1:0";
  config.peer_silence_ms = 600000;
  auto app = App::Start(config);
  ATOLL_CHECK(app.ok(), std::string(app.status().message()));
  const std::string line = absl::StrCat((*app)->address(), " ", (*app)->http_address(), " ", (*app)->front_door().model().fingerprint(), "\n");
  ATOLL_CHECK(write(pipe, line.data(), line.size()) == static_cast<ssize_t>(line.size()), "pipe");
  while (true) pause();
}

}  // namespace

int64_t RouterProcess::ResidentBytes() const {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  int64_t pages = 0;
  int64_t resident = 0;
  statm >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

double RouterProcess::CpuSeconds() const {
  clockid_t clock = 0;
  timespec used{};
  ATOLL_CHECK(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &used) == 0, "the router's clock");
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

void RouterProcess::Kill() const {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

RouterProcess StartRouter(bool pinned) {
  int ends[2];
  ATOLL_CHECK(pipe(ends) == 0, "pipe");
  const pid_t pid = fork();
  if (pid == 0) {
    if (pinned) PinTo(0, 0);
    RunRouter(ends[1]);
  }
  char line[512] = {};
  ATOLL_CHECK(read(ends[0], line, sizeof line - 1) > 0, "the router did not start");
  char address[200];
  char http_address[200];
  unsigned long long fingerprint = 0;
  ATOLL_CHECK(std::sscanf(line, "%199s %199s %llu", address, http_address, &fingerprint) == 3, line);
  return {pid, address, http_address, fingerprint};
}

void PinTo(int first_cpu, int last_cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (int cpu = first_cpu; cpu <= last_cpu; ++cpu) CPU_SET(cpu, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);
}

}  // namespace atoll::router
