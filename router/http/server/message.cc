#include "router/http/server/message.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace atoll::router::http {
namespace {

void AppendHeader(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ").append(value).append("\r\n");
}

std::string HttpDate() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[40];
  const size_t length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, length};
}

}  // namespace

std::string_view Request::OnlyHeader(std::string_view name) const {
  const auto is_it = [&](const auto& header) { return header.first == name; };
  return std::count_if(headers.begin(), headers.end(), is_it) == 1 ? Header(name) : std::string_view();
}

std::string_view Request::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Status";
  }
}

void AppendHead(const Response& response, const HeadOptions& options, std::string& out) {
  out.append(options.http_1_0 ? "HTTP/1.0 " : "HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  out.append(ReasonPhrase(response.status)).append("\r\n");
  AppendHeader("Date", HttpDate(), out);
  if (!response.content_type.empty()) AppendHeader("Content-Type", response.content_type, out);
  if (options.chunked) {
    AppendHeader("Transfer-Encoding", "chunked", out);
  } else if (response.status != 204) {
    AppendHeader("Content-Length", std::to_string(response.body.size()), out);
  }
  for (const auto& [name, value] : response.headers) AppendHeader(name, value, out);
  if (options.close) AppendHeader("Connection", "close", out);
  if (options.http_1_0 && !options.close) AppendHeader("Connection", "keep-alive", out);
  out.append("\r\n");
}

void AppendChunk(std::string_view piece, std::string& out) {
  if (piece.empty()) return;
  char size[20];
  const std::to_chars_result end = std::to_chars(size, size + sizeof size, piece.size(), 16);
  out.append(size, end.ptr).append("\r\n").append(piece).append("\r\n");
}

}  // namespace atoll::router::http
