#pragma once

// A child program that a test talks to and kills. It gets standard streams only, and dies with its parent.

#include <sys/types.h>

#include <string>
#include <vector>

namespace atoll::net {

class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Up to the next newline of its standard output; empty at its end.
  std::string ReadLine();
  void Signal(int number);
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

}  // namespace atoll::net
