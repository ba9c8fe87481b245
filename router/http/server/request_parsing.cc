#include "router/http/server/request_parsing.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <cctype>

namespace atoll::router::http {

namespace beast = boost::beast;
using Message = beast::http::request<beast::http::string_body>;

WireRefusal RefusalOf(const boost::system::error_code& found, const ServerLimits& limits) {
  using beast::http::error;
  if (found == error::header_limit) {
    return {431, "the request's header may have " + std::to_string(limits.header_bytes_max) + " bytes at most"};
  }
  if (found == error::body_limit) {
    return {413, "the request's body may have " + std::to_string(limits.body_bytes_max) + " bytes at most"};
  }
  if (found == error::bad_transfer_encoding || found == error::bad_content_length) {
    return {400, "Content-Length and Transfer-Encoding contradict each other or make no sense; send one of them"};
  }
  if (found == error::bad_version) return {400, "expected HTTP/1.1 or HTTP/1.0 in the request line"};
  return {400, "the request is not HTTP/1.1: " + found.message()};
}

WireRefusal CheckHead(const Message& message) {
  if (message.target().empty() || message.target().front() != '/') {
    return {400, "expected a path that begins with '/' in the request line, not a URL"};
  }
  if (message.version() == 11 && message.count(beast::http::field::host) != 1) return {400, "expected one Host header"};
  if (message.count(beast::http::field::http2_settings) != 0 || beast::http::token_list{message[beast::http::field::upgrade]}.exists("h2c")) {
    return {400, "an upgrade to HTTP/2 is not offered here; send HTTP/1.1"};
  }
  const auto coding = message[beast::http::field::transfer_encoding];
  if (!coding.empty() && (!beast::iequals(coding, "chunked") || message.version() != 11)) {
    return {400, "of the transfer codings only chunked is understood, in HTTP/1.1"};
  }
  return {};
}

bool ExpectsContinue(const Message& message) {
  return message.version() == 11 && beast::iequals(message[beast::http::field::expect], "100-continue");
}

Request ToRequest(Message message) {
  Request request;
  request.method = std::string(message.method_string());
  const std::string target(message.target());
  const size_t query = target.find('?');
  request.path = target.substr(0, query);
  if (query != std::string::npos) request.query = target.substr(query + 1);
  for (const auto& field : message) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    request.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  request.body = std::move(message.body());
  return request;
}

}  // namespace atoll::router::http
