#include "node/process.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>

#include "base/check.h"
#include "base/log.h"

namespace atoll::node {

StopSignal::StopSignal() {
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGPIPE);
  ATOLL_CHECK(pthread_sigmask(SIG_BLOCK, &blocked, nullptr) == 0, "cannot block SIGPIPE");
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  ATOLL_CHECK(pthread_sigmask(SIG_BLOCK, &stops, nullptr) == 0, "cannot block SIGTERM and SIGINT");
  signals_ = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
  requests_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ATOLL_CHECK(signals_ >= 0 && requests_ >= 0, "no file descriptors left");
}

StopSignal::~StopSignal() {
  close(signals_);
  close(requests_);
}

bool StopSignal::Wait(std::chrono::milliseconds timeout) {
  std::array<pollfd, 2> fds{{{signals_, POLLIN, 0}, {requests_, POLLIN, 0}}};
  const int ready = poll(fds.data(), fds.size(), static_cast<int>(timeout.count()));
  std::lock_guard lock(mutex_);
  if (ready > 0) stopped_ = true;
  return stopped_;
}

void StopSignal::Request(const absl::Status& reason) {
  {
    std::lock_guard lock(mutex_);
    if (reason_.ok()) reason_ = reason;
  }
  const uint64_t one = 1;
  // A full counter has woken the waiter already.
  [[maybe_unused]] const ssize_t written = write(requests_, &one, sizeof(one));
}

absl::Status StopSignal::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

uint64_t NewIncarnation() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

uint64_t AvailableMemoryBytes() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  uint64_t kilobytes = 0;
  while (file >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(file, unit);
  }
  return 0;
}

void AnnounceListening(const std::string& address) {
  std::printf("listening %s\n", address.c_str());
  std::fflush(stdout);
}

int ExitStatusOf(const absl::Status& status) {
  if (status.ok()) return 0;
  LogError(status.message());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDataLoss: return kExitConfiguration;
    default: return 1;
  }
}

}  // namespace atoll::node
