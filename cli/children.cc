#include "cli/children.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/check.h"

namespace atoll::cli {
namespace {

constexpr size_t kLineBytesMax = 64 * 1024;

struct Pipe {
  int read_end = -1;
  int write_end = -1;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return absl::InternalError(absl::StrCat("no pipe for a child: ", std::strerror(errno)));
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return Pipe{fds[0], fds[1]};
}

// Runs in the child between fork and exec: only calls that are safe there.
[[noreturn]] void BecomeProgram(const char* path, char* const* argv, const Pipe& out, const Pipe& err) {
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent || parent == 1) _exit(127);
  setpgid(0, 0);  // a Ctrl-C at the terminal reaches `atoll up` alone, which ends its children in order
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null_fd = open("/dev/null", O_RDONLY);
  dup2(null_fd, STDIN_FILENO);
  dup2(out.write_end, STDOUT_FILENO);
  dup2(err.write_end, STDERR_FILENO);
  execv(path, argv);
  _exit(127);
}

// Appends what the descriptor holds now; false at its end.
bool ReadAvailable(int fd, std::string* into) {
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n > 0) into->append(buffer, static_cast<size_t>(n));
    else return n < 0 && (errno == EAGAIN || errno == EINTR);
    if (into->size() > kLineBytesMax) return true;
  }
}

std::vector<std::string> TakeLines(std::string* partial) {
  std::vector<std::string> lines;
  size_t start = 0;
  for (size_t end; (end = partial->find('\n', start)) != std::string::npos; start = end + 1)
    lines.push_back(partial->substr(start, end - start));
  partial->erase(0, start);
  if (partial->size() > kLineBytesMax) lines.push_back(std::exchange(*partial, ""));
  return lines;
}

void CloseFd(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

}  // namespace

std::string Child::ExitText() const {
  if (WIFEXITED(wait_status)) return absl::StrCat("ended with status ", WEXITSTATUS(wait_status));
  if (WIFSIGNALED(wait_status)) return absl::StrCat("was ended by signal ", WTERMSIG(wait_status));
  return "ended";
}

Children::Children() {
  sigset_t taken;
  sigemptyset(&taken);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&taken, signal);
  sigprocmask(SIG_BLOCK, &taken, nullptr);
  signal_fd_ = signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC);
  ATOLL_CHECK(signal_fd_ >= 0, std::strerror(errno));
}

Children::~Children() {
  SignalAll(SIGKILL);
  for (const auto& child : children_) {
    if (child->running) waitpid(child->pid, nullptr, 0);
    CloseFd(&child->stdout_fd);
    CloseFd(&child->stderr_fd);
  }
  CloseFd(&signal_fd_);
}

absl::StatusOr<Child*> Children::Spawn(ChildSpec spec) {
  if (access(spec.program.c_str(), X_OK) != 0)
    return absl::NotFoundError(absl::StrCat("expected the program ", spec.program, " beside atoll: ", std::strerror(errno)));
  ATOLL_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ATOLL_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  std::vector<char*> argv{spec.program.data()};
  for (std::string& argument : spec.arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(spec.program.c_str(), argv.data(), out, err);
  close(out.write_end);
  close(err.write_end);
  if (pid < 0) return absl::InternalError(absl::StrCat("cannot start ", spec.label, ": ", std::strerror(errno)));
  auto child = std::make_unique<Child>();
  child->spec = std::move(spec);
  child->pid = pid;
  child->running = true;
  child->stdout_fd = out.read_end;
  child->stderr_fd = err.read_end;
  // The place of a child that has ended is used again, so that restarts do not add up.
  for (auto& place : children_)
    if (!place->running && place->stdout_fd < 0 && place->stderr_fd < 0) return (place = std::move(child)).get();
  children_.push_back(std::move(child));
  return children_.back().get();
}

bool Children::Wait(int timeout_ms, const Events& events) {
  std::vector<pollfd> fds{{signal_fd_, POLLIN, 0}};
  for (const auto& child : children_)
    for (const int fd : {child->stdout_fd, child->stderr_fd})
      if (fd >= 0) fds.push_back({fd, POLLIN, 0});
  poll(fds.data(), fds.size(), timeout_ms);
  for (size_t i = 0; i < children_.size(); ++i) TakeOutput(*children_[i], events);
  return TakeSignals(events);
}

void Children::TakeOutput(Child& child, const Events& events) {
  if (child.stderr_fd >= 0 && !ReadAvailable(child.stderr_fd, &child.stderr_partial)) CloseFd(&child.stderr_fd);
  for (const std::string& line : TakeLines(&child.stderr_partial)) {
    child.last_error_line = line;
    const std::string whole = line + "\n";
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, whole.data(), whole.size());
  }
  if (child.stdout_fd >= 0 && !ReadAvailable(child.stdout_fd, &child.stdout_partial)) CloseFd(&child.stdout_fd);
  for (const std::string& line : TakeLines(&child.stdout_partial)) events.on_stdout_line(child, line);
}

bool Children::TakeSignals(const Events& events) {
  bool stop = false, exits = false;
  signalfd_siginfo info;
  while (read(signal_fd_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) exits = true;
    else stop = true;
  }
  if (exits) TakeExits(events);
  return stop;
}

void Children::TakeExits(const Events& events) {
  for (size_t i = 0; i < children_.size(); ++i) {
    Child& child = *children_[i];
    if (!child.running || waitpid(child.pid, &child.wait_status, WNOHANG) != child.pid) continue;
    TakeOutput(child, events);  // its last words
    CloseFd(&child.stdout_fd);
    CloseFd(&child.stderr_fd);
    child.running = false;
    events.on_exit(child);
  }
}

void Children::Signal(Child& child, int signal) {
  if (child.running) kill(child.pid, signal);
}

void Children::SignalAll(int signal) {
  for (const auto& child : children_) Signal(*child, signal);
}

int Children::running() const {
  int count = 0;
  for (const auto& child : children_) count += child->running;
  return count;
}

std::vector<Child*> Children::Running(const std::string& label) {
  std::vector<Child*> found;
  for (const auto& child : children_)
    if (child->running && child->spec.label == label) found.push_back(child.get());
  return found;
}

}  // namespace atoll::cli
