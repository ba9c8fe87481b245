#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/status.h"

namespace atoll::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

// "host:port" or "[v6]:port"; a name is looked up (which may wait). InvalidArgument or Unavailable says what is wrong.
absl::StatusOr<SocketAddress> ResolveAddress(const std::string& address);

// In host order; 0 for what is neither IPv4 nor IPv6.
uint16_t PortOf(const sockaddr_storage& storage);

// "host:port" of a socket address; `host` replaces the numeric one unless empty.
absl::StatusOr<std::string> FormatAddress(const sockaddr_storage& storage, const std::string& host);

}  // namespace atoll::net
