#pragma once

// ATOLL_CHECK(condition, "text"): an invariant of our own that does not hold ends the process with its place and text.
// Never for data from a wire or a file: those get a Status (or, in kernels/, a KernelError).

#include <cstdio>
#include <cstdlib>
#include <string>

namespace atoll {

[[noreturn]] inline void CheckFailed(const char* file, int line, const char* condition, const std::string& text) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s: %s\n", file, line, condition, text.c_str());
  std::abort();
}

}  // namespace atoll

#define ATOLL_CHECK(condition, text) \
  (static_cast<bool>(condition) ? void() : ::atoll::CheckFailed(__FILE__, __LINE__, #condition, (text)))
