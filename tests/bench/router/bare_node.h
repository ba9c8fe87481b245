#pragma once

// A node that answers probes at once, in a process of its own pinned to CPU 0: what a stream costs without a router.

#include <sys/types.h>

#include <string>

namespace atoll::router {

struct BareNode {
  pid_t pid = 0;
  std::string address;

  void Kill() const;
};

// Serves until it is killed. To be called before the first thread starts.
BareNode StartBareNode();

}  // namespace atoll::router
