#pragma once

// What of a request's wire form is not acceptable, and the plain request that the rest becomes. Pure.

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <string>

#include "router/http/server/limits.h"
#include "router/http/server/message.h"

namespace atoll::router::http {

struct WireRefusal {
  int status = 0;  // 0: fine
  std::string sentence;
};

// What a parser's error means to the client.
WireRefusal RefusalOf(const boost::system::error_code& error, const ServerLimits& limits);

// Of a header that the parser took: no absolute or asterisk form, no upgrade, one Host, no transfer coding but chunked.
WireRefusal CheckHead(const boost::beast::http::request<boost::beast::http::string_body>& message);

bool ExpectsContinue(const boost::beast::http::request<boost::beast::http::string_body>& message);

Request ToRequest(boost::beast::http::request<boost::beast::http::string_body> message);

}  // namespace atoll::router::http
