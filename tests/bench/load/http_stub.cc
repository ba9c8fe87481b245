#include "tests/bench/load/http_stub.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/check.h"

namespace atoll::load {
namespace {

bool Send(int fd, const std::string& bytes) { return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()); }

std::string Chunk(const std::string& data) {
  const std::string event = "data: " + data + "\n\n";
  return absl::StrFormat("%x\r\n%s\r\n", event.size(), event);
}

// One request with its body; empty at the end of the connection.
std::string Receive(int fd) {
  std::string request;
  char buffer[16384];
  for (;;) {
    const size_t head = request.find("\r\n\r\n");
    const size_t length = request.find("Content-Length: ");
    if (head != std::string::npos) {
      const size_t body = length < head ? std::strtoul(request.c_str() + length + 16, nullptr, 10) : 0;
      if (request.size() >= head + 4 + body) return request;
    }
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) return "";
    request.append(buffer, static_cast<size_t>(n));
  }
}

bool Stream(int fd, int64_t tokens) {
  if (!Send(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")) return false;
  for (int64_t i = 1; i <= tokens; ++i)
    if (!Send(fd, Chunk(absl::StrFormat(R"({"id":"cmpl-stub","object":"text_completion","created":1,"model":"stub","choices":[{"index":0,"text":" word","logprobs":null,)"
                                        R"("finish_reason":null}],"usage":{"prompt_tokens":4,"completion_tokens":%d,"total_tokens":%d}})", i, i + 4))))
      return false;
  return Send(fd, Chunk("[DONE]") + "0\r\n\r\n");
}

void Serve(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  for (std::string request = Receive(fd); !request.empty(); request = Receive(fd)) {
    const size_t tokens = request.find("\"max_tokens\":");
    const std::string models = R"({"data":[{"id":"stub"}]})";
    const bool ok = tokens == std::string::npos ? Send(fd, absl::StrFormat("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", models.size(), models))
                                                : Stream(fd, std::strtoll(request.c_str() + tokens + 13, nullptr, 10));
    if (!ok) break;
  }
  close(fd);
}

}  // namespace

void RunHttpStub(int pipe) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ATOLL_CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener, 256) == 0, "the stub cannot listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string text = absl::StrFormat("127.0.0.1:%d", ntohs(address.sin_port));
  ATOLL_CHECK(write(pipe, text.data(), text.size()) > 0, "pipe");
  std::vector<std::thread> threads;  // until a signal ends this process
  for (;;) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd >= 0) threads.emplace_back(Serve, fd);
  }
}

}  // namespace atoll::load
