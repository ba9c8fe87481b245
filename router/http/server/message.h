#pragma once

// A request as it was read from the wire, and what answers it. Plain values.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atoll::router::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;
  std::string path;   // as sent, never decoded; begins with '/'
  std::string query;  // without its '?'
  Headers headers;    // names in lower case
  std::string body;

  // Of the first header of that lower-case name; empty where there is none.
  std::string_view Header(std::string_view name) const;
  // The same, but empty where it was sent more than once.
  std::string_view OnlyHeader(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  Headers headers;  // beside those that the server writes: date, content-type, content-length, connection
  std::string body;
};

// The reason phrase of a status that we send.
std::string_view ReasonPhrase(int status);

struct HeadOptions {
  bool chunked = false;    // else the body's length is told
  bool close = false;      // the connection ends after the answer
  bool http_1_0 = false;
};

// The head of an answer, its empty line included, appended to `out`.
void AppendHead(const Response& response, const HeadOptions& options, std::string& out);

// One chunk of a chunked body; nothing for an empty piece, which would end the body.
void AppendChunk(std::string_view piece, std::string& out);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace atoll::router::http
