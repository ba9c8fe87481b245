#include "net/ucx/listener/listener_guard.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "base/log.h"
#include "net/ucx/listener/address.h"

namespace atoll::net {
namespace {

// A classic BPF program over a TCP segment, header first. A message is 16 bytes (uint64 length, status, padding) and
// then `length` bytes; UCX's first one has 63 in all, so that none is ever split.
constexpr uint32_t kMessageHeaderBytes = 16;
constexpr uint32_t kAccept = 0xFFFFFFFF;
constexpr sock_filter kProgram[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 12),  // the data offset, in words, is the upper half of this byte
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xF0),
    BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 2),
    BPF_STMT(BPF_MISC | BPF_TAX, 0),  // X: bytes of the TCP header
    BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
    BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
    BPF_STMT(BPF_ST, 0),                            // M[0]: bytes of data
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 15, 0),  // none: accept
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kMessageHeaderBytes, 0, 13),
    BPF_STMT(BPF_LD | BPF_W | BPF_IND, 4),  // the upper six bytes of the length must be zero
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 11),
    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 9),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 1),  // the lower two, little-endian
    BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 8),
    BPF_STMT(BPF_ST, 1),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
    BPF_STMT(BPF_LDX | BPF_MEM, 1),
    BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
    BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, kMessageHeaderBytes),
    BPF_STMT(BPF_LDX | BPF_MEM, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0),  // all of the data and no more: accept
    BPF_STMT(BPF_RET | BPF_K, 0),
    BPF_STMT(BPF_RET | BPF_K, kAccept),
};

bool ListensOn(int fd, uint16_t port) {
  int listening = 0;
  socklen_t bytes = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) != 0 || listening == 0) return false;
  sockaddr_storage address{};
  bytes = sizeof address;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes) == 0 && PortOf(address) == port;
}

// UCX does not show its descriptors, so we look through our own.
int FindListener(uint16_t port) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const std::string name = entry.path().filename();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    if (fd >= 0 && ListensOn(fd, port)) return fd;
  }
  return -1;
}

}  // namespace

absl::Status GuardListener(uint16_t port) {
  const int fd = FindListener(port);
  if (fd < 0) return absl::InternalError(absl::StrCat("data listener: no socket of this process listens on port ", port));
  const sock_fprog program{static_cast<unsigned short>(std::size(kProgram)), const_cast<sock_filter*>(kProgram)};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
    // Some kernels keep filters for CAP_NET_ADMIN, which a restricted pod cannot have; a network policy stands before it.
    if (errno == EPERM) {
      LogWarning("data listener on port ", port, ": this kernel gives socket filters to CAP_NET_ADMIN alone, so whoever reaches ",
                 "the port can end this process; let only Atoll's nodes reach it");
      return absl::OkStatus();
    }
    return absl::InternalError(absl::StrCat("data listener: guarding its socket: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace atoll::net
