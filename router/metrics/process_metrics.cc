// The figures of the process that every exporter has.

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>

#include "router/metrics/metrics_text.h"

namespace atoll::router {
namespace {

using metrics::Type;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int64_t OpenFiles() {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  int64_t files = -3;  // ".", ".." and this folder itself
  while (readdir(folder) != nullptr) ++files;
  closedir(folder);
  return files;
}

int64_t FilesMax() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<int64_t>(limit.rlim_cur);
}

// Unix time: the clock's now, less the time since the start by the kernel's count.
double StartSeconds() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 2)));
  std::string skipped;
  for (int i = 3; i < 22; ++i) fields >> skipped;
  double start_ticks = 0, uptime = 0;
  fields >> start_ticks;
  std::ifstream("/proc/uptime") >> uptime;
  return static_cast<double>(std::time(nullptr)) - (uptime - start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace

void AppendProcessMetrics(metrics::Exposition& out) {
  static const double start_seconds = StartSeconds();
  out.One(Type::kCounter, "process_cpu_seconds_total", "Processor time of the router, user and system.", CpuSeconds());
  out.One(Type::kGauge, "process_resident_memory_bytes", "Memory of the router.", ResidentBytes());
  out.One(Type::kGauge, "process_open_fds", "Open files of the router.", OpenFiles());
  out.One(Type::kGauge, "process_max_fds", "Open files that it may have.", FilesMax());
  out.One(Type::kGauge, "process_start_time_seconds", "Unix time of its start.", start_seconds);
}

}  // namespace atoll::router
