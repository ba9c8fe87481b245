#include "net/ucx/listener/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>

namespace atoll::net {
namespace {

struct HostPort {
  std::string host, port;
};

absl::StatusOr<HostPort> SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  const bool bracketed = address.starts_with('[');
  const size_t host_end = bracketed ? address.find(']') : colon;
  if (colon == std::string::npos || host_end == std::string::npos || host_end + (bracketed ? 1 : 0) != colon || colon == 0) {
    return absl::InvalidArgumentError(absl::StrCat("data address \"", address, "\": expected host:port or [v6]:port"));
  }
  const size_t first = bracketed ? 1 : 0;
  return HostPort{address.substr(first, host_end - first), address.substr(colon + 1)};
}

}  // namespace

absl::StatusOr<SocketAddress> ResolveAddress(const std::string& address) {
  ATOLL_ASSIGN_OR_RETURN(const HostPort parts, SplitAddress(address));
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &found); error != 0) {
    return absl::UnavailableError(absl::StrCat("data address \"", address, "\": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  SocketAddress result;
  std::memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
  result.bytes = found->ai_addrlen;
  return result;
}

uint16_t PortOf(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

absl::StatusOr<std::string> FormatAddress(const sockaddr_storage& storage, const std::string& host) {
  char numeric_host[NI_MAXHOST], port[NI_MAXSERV];
  const socklen_t bytes = storage.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  const int error = getnameinfo(reinterpret_cast<const sockaddr*>(&storage), bytes, numeric_host, sizeof numeric_host, port, sizeof port,
                                NI_NUMERICHOST | NI_NUMERICSERV);
  if (error != 0) return absl::InternalError(absl::StrCat("socket address: ", gai_strerror(error)));
  const std::string shown = host.empty() ? numeric_host : host;
  return absl::StrCat(shown.find(':') == std::string::npos ? shown : absl::StrCat("[", shown, "]"), ":", port);
}

}  // namespace atoll::net
