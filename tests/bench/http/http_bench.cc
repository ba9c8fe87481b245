// What a streamed token costs the router over HTTP beside gRPC, in one run: CPU time of the router's process for each token,
// at the same number of streams and the same pace. The router is a process of its own; the fake node and the clients are this
// one. http_bench [STREAMS] [TOKENS] [TOKENS_PER_SECOND]

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include <grpcpp/support/client_callback.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "net/grpc/channel.h"
#include "tests/bench/router/router_process.h"
#include "tests/router/fake_nodes.h"

namespace atoll::router {
namespace {

using Clock = std::chrono::steady_clock;

struct Load {
  int streams = 64;
  int64_t tokens = 1000;  // of each stream
  double tokens_per_second = 6400;
};

class GrpcCall final : public grpc::ClientReadReactor<v1::GenerateResponse> {
 public:
  GrpcCall(v1::InferenceService::Stub& stub, int64_t max_tokens) {
    request_.mutable_token_ids()->add_ids(1);
    request_.mutable_stopping()->set_max_tokens(max_tokens);
    stub.async()->Generate(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    ++messages;
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    ATOLL_CHECK(status.ok(), status.error_message());
    done = true;
  }

  std::atomic<int64_t> messages{0};
  std::atomic<bool> done{false};

 private:
  grpc::ClientContext context_;
  v1::GenerateRequest request_;
  v1::GenerateResponse response_;
};

// One thread reads all streams.
class HttpCalls {
 public:
  HttpCalls(const std::string& address, const Load& load, const std::string& path, const std::string& fields) {
    const std::string body = absl::StrCat("{", fields, ",\"max_tokens\":", load.tokens, ",\"ignore_eos\":true,\"stream\":true}");
    const std::string request = absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: x\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
    for (int i = 0; i < load.streams; ++i) {
      const int fd = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      ATOLL_CHECK(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0, "connect");
      ATOLL_CHECK(send(fd, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()), "send");
      polls_.push_back({fd, POLLIN, 0});
    }
    thread_ = std::thread([this] { Read(); });
  }
  ~HttpCalls() {
    thread_.join();
    for (const pollfd& poll : polls_) close(poll.fd);
  }

  std::atomic<int64_t> events{0};  // [DONE] among them
  std::atomic<int> done{0};

 private:
  void Read() {
    std::vector<char> bytes(1 << 16);
    while (done < static_cast<int>(polls_.size())) {
      poll(polls_.data(), polls_.size(), 100);
      for (const pollfd& poll : polls_) {
        if (poll.revents == 0) continue;
        const ssize_t n = recv(poll.fd, bytes.data(), bytes.size(), 0);
        ATOLL_CHECK(n > 0, "a stream broke");
        Count({bytes.data(), static_cast<size_t>(n)});
      }
    }
  }
  void Count(std::string_view text) {
    for (size_t at = 0; (at = text.find("data: ", at)) != std::string_view::npos; at += 6) ++events;
    if (text.find("[DONE]") != std::string_view::npos) ++done;
  }

  std::vector<pollfd> polls_;
  std::thread thread_;
};

// One token for every stream at the pace; the router's CPU microseconds for each token.
template <typename Done>
double Pace(const RouterProcess& router, FakeAttentionNode& node, const Load& load, Done all_done) {
  ATOLL_CHECK(WaitFor([&] { return node.live() == static_cast<size_t>(load.streams); }), "the calls did not start");
  const double before = router.CpuSeconds();
  const auto started = Clock::now();
  const auto pause = std::chrono::duration<double>(load.streams / load.tokens_per_second);
  for (int64_t step = 0; step < load.tokens; ++step) {
    std::this_thread::sleep_until(started + std::chrono::duration_cast<Clock::duration>(pause * static_cast<double>(step)));
    node.Step();
  }
  ATOLL_CHECK(WaitFor(all_done), "a call did not end");
  return 1e6 * (router.CpuSeconds() - before) / static_cast<double>(load.streams * load.tokens);
}

double GrpcCost(const RouterProcess& router, FakeAttentionNode& node, const Load& load) {
  const auto stub = v1::InferenceService::NewStub(net::MakeChannel(router.address));
  std::vector<std::unique_ptr<GrpcCall>> calls;
  for (int i = 0; i < load.streams; ++i) calls.push_back(std::make_unique<GrpcCall>(*stub, load.tokens));
  const double us = Pace(router, node, load, [&] {
    return std::all_of(calls.begin(), calls.end(), [](const auto& call) { return call->done.load(); });
  });
  int64_t messages = 0;
  for (const auto& call : calls) messages += call->messages;
  std::printf("gRPC         %6.1f us of router CPU a token, %.3f messages a token\n", us, static_cast<double>(messages) / static_cast<double>(load.streams * load.tokens));
  return us;
}

double HttpCost(const RouterProcess& router, FakeAttentionNode& node, const Load& load, bool chat) {
  HttpCalls calls(router.http_address, load, chat ? "/v1/chat/completions" : "/v1/completions",
                  chat ? "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" : "\"prompt\":[1]");
  const double us = Pace(router, node, load, [&] { return calls.done == load.streams; });
  std::printf("HTTP, %s %6.1f us of router CPU a token, %.3f events a token\n", chat ? "chat " : "text ", us,
              static_cast<double>(calls.events - load.streams) / static_cast<double>(load.streams * load.tokens));
  return us;
}

int Main(const Load& load) {
  const RouterProcess router = StartRouter(false);
  net::PrepareGrpc();
  SetLogLevel(LogLevel::kError);
  FakeAttentionNode node([](const FakeSequence& s) { return static_cast<int32_t>(300 + s.sampled % 1000); });
  FakeMember expert(router.address, ExpertHello("e1", router.fingerprint));
  FakeMember attention(router.address, AttentionHello("a1", router.fingerprint, node.address()));
  const auto stub = v1::ClusterService::NewStub(net::MakeChannel(router.address));
  ATOLL_CHECK(WaitFor([&] {
    grpc::ClientContext context;
    v1::GetStatusResponse response;
    return stub->GetStatus(&context, {}, &response).ok() && response.ready();
  }), "the router did not get ready");
  std::printf("%d streams, %ld tokens each, %.0f tokens/s offered\n", load.streams, load.tokens, load.tokens_per_second);
  double grpc = 0;
  double http = 0;
  for (int round = 0; round < 2; ++round) {
    grpc += GrpcCost(router, node, load);
    http += HttpCost(router, node, load, false);
    HttpCost(router, node, load, true);
  }
  std::printf("HTTP / gRPC: %.2f\n", http / grpc);
  router.Kill();
  return 0;
}

}  // namespace
}  // namespace atoll::router

int main(int argc, char** argv) {
  atoll::router::Load load;
  if (argc > 1) load.streams = std::atoi(argv[1]);
  if (argc > 2) load.tokens = std::strtol(argv[2], nullptr, 10);
  if (argc > 3) load.tokens_per_second = std::atof(argv[3]);
  return atoll::router::Main(load);
}
