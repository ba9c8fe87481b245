#include "router/http/server/listen_address.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace atoll::router::http {

using boost::asio::ip::tcp;

absl::StatusOr<ListenAddress> ListenAddress::Parse(const std::string& text, const std::string& option) {
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(option, ": expected HOST:PORT, found \"", text, "\""));
  }
  ListenAddress address{.host = text.substr(0, colon), .host_text = text.substr(0, colon), .port = static_cast<uint16_t>(port)};
  if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  return address;
}

tcp::endpoint ResolveLocal(const ListenAddress& address, boost::asio::io_context& io, boost::system::error_code& error) {
  const auto numeric = boost::asio::ip::make_address(address.host, error);
  if (!error) return {numeric, address.port};
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::passive | tcp::resolver::numeric_service, error);
  return error || found.empty() ? tcp::endpoint() : found.begin()->endpoint();
}

}  // namespace atoll::router::http
