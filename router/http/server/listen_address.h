#pragma once

// HOST:PORT as an address of this machine.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "base/status.h"

namespace atoll::router::http {

struct ListenAddress {
  std::string host;       // without brackets
  std::string host_text;  // as given
  uint16_t port = 0;

  // INVALID_ARGUMENT names `option`.
  static absl::StatusOr<ListenAddress> Parse(const std::string& text, const std::string& option);
};

boost::asio::ip::tcp::endpoint ResolveLocal(const ListenAddress& address, boost::asio::io_context& io, boost::system::error_code& error);

}  // namespace atoll::router::http
