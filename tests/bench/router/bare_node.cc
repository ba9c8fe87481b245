#include "tests/bench/router/bare_node.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/check.h"
#include "net/grpc/channel.h"
#include "tests/bench/router/router_process.h"
#include "tests/router/fake_nodes.h"

namespace atoll::router {

void BareNode::Kill() const {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

BareNode StartBareNode() {
  int ends[2];
  ATOLL_CHECK(pipe(ends) == 0, "pipe");
  const pid_t pid = fork();
  if (pid == 0) {
    PinTo(0, 0);
    net::PrepareGrpc();
    const FakeAttentionNode node;
    const std::string& address = node.address();
    ATOLL_CHECK(write(ends[1], address.data(), address.size()) == static_cast<ssize_t>(address.size()), "pipe");
    while (true) pause();
  }
  char address[200] = {};
  ATOLL_CHECK(read(ends[0], address, sizeof address - 1) > 0, "the node did not start");
  return {pid, address};
}

}  // namespace atoll::router
