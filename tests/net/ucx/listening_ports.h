#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace atoll::net {

// The TCP ports that a process of this machine listens on, over IPv4.
std::vector<int> ListeningPorts(pid_t pid);

// Connects to a port of this machine, sends the bytes, and hangs up.
void SendBytes(int port, const std::string& bytes);

}  // namespace atoll::net
