// What the router costs: streamed tokens per second of one core, and the latency that it adds to a token beside that of a
// bare gRPC stream. The router is a process of its own, pinned to CPU 0; fake nodes and clients are this process, on the
// other CPUs. router_bench [STREAMS] [TOKENS]

#include <grpcpp/create_channel.h>
#include <grpcpp/support/client_callback.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "net/grpc/channel.h"
#include "tests/bench/router/bare_node.h"
#include "tests/bench/router/router_process.h"
#include "tests/router/fake_nodes.h"

namespace atoll::router {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

// One streamed call; counts what it receives.
class Call final : public grpc::ClientReadReactor<v1::GenerateResponse> {
 public:
  Call(v1::InferenceService::Stub& stub, int64_t max_tokens) {
    request_.mutable_token_ids()->add_ids(1);
    request_.mutable_stopping()->set_max_tokens(max_tokens);
    stub.async()->Generate(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    received_at = Clock::now();
    ++messages;
    for (const v1::Choice& choice : response_.choices()) tokens += choice.token_ids_size();
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    ok = status.ok();
    done = true;
  }

  std::atomic<int64_t> tokens{0};
  std::atomic<int64_t> messages{0};
  std::atomic<Clock::time_point> received_at{Clock::time_point{}};
  std::atomic<bool> ok{false};
  std::atomic<bool> done{false};

 private:
  grpc::ClientContext context_;
  v1::GenerateRequest request_;
  v1::GenerateResponse response_;
};

// Steps at `tokens_per_second` in all, so that the router is never given more than that.
void Throughput(const RouterProcess& router, FakeAttentionNode& node, int streams, int64_t tokens, double tokens_per_second) {
  const auto stub = v1::InferenceService::NewStub(net::MakeChannel(router.address));
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < streams; ++i) calls.push_back(std::make_unique<Call>(*stub, tokens));
  ATOLL_CHECK(WaitFor([&] { return node.live() == static_cast<size_t>(streams); }), "the calls did not start");
  const double cpu_before = router.CpuSeconds();
  const auto started = Clock::now();
  const auto pause = std::chrono::duration<double>(streams / tokens_per_second);
  for (int64_t step = 0; step < tokens; ++step) {
    std::this_thread::sleep_until(started + std::chrono::duration_cast<Clock::duration>(pause * static_cast<double>(step)));
    node.Step();
  }
  for (const auto& call : calls) ATOLL_CHECK(WaitFor([&] { return call->done.load(); }), "a call did not end");
  const double wall = Seconds(Clock::now() - started);
  const double cpu = router.CpuSeconds() - cpu_before;
  int64_t received = 0;
  int64_t messages = 0;
  for (const auto& call : calls) {
    ATOLL_CHECK(call->ok, "a call failed");
    received += call->tokens;
    messages += call->messages;
  }
  const auto count = static_cast<double>(received);
  std::printf("offered %8.0f tokens/s: delivered %8.0f tokens/s, %.2f tokens a message, router used %.2f of its core: %8.0f tokens per core second\n",
              tokens_per_second, count / wall, count / static_cast<double>(messages), cpu / wall, count / cpu);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// From the node's send to the client's receipt, one token at a time.
double RoutedLatencyUs(const RouterProcess& router, FakeAttentionNode& node, int64_t tokens) {
  const auto stub = v1::InferenceService::NewStub(net::MakeChannel(router.address));
  Call call(*stub, tokens);
  ATOLL_CHECK(WaitFor([&] { return node.live() == 1; }), "the call did not start");
  std::vector<double> us;
  for (int64_t i = 0; i < tokens; ++i) {
    const auto sent = Clock::now();
    node.Step();
    while (call.tokens < i + 1) std::this_thread::yield();
    us.push_back(1e6 * Seconds(call.received_at.load() - sent));
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  ATOLL_CHECK(WaitFor([&] { return call.done.load(); }), "the call did not end");
  return Median(std::move(us));
}

// One way of a bare stream between two processes, as each of the two streams through the router is: half of the time in which
// a node at CPU 0 answers a probe.
double BareLatencyUs(const std::string& address, int64_t tokens) {
  const auto stub = v1::AttentionService::NewStub(net::MakeChannel(address));
  std::atomic<int64_t> received{0};
  std::atomic<Clock::time_point> received_at{Clock::time_point{}};
  using Stream = net::BidiClient<v1::RunRequest, v1::RunResponse>;
  Stream stream({.on_message =
                     [&](v1::RunResponse&) {
                       received_at = Clock::now();
                       ++received;
                     },
                 .on_end = [](const absl::Status&) {}},
                16, [&](grpc::ClientContext* context, Stream::Reactor* reactor) { stub->async()->Run(context, reactor); });
  v1::RunRequest request;
  request.mutable_submit()->set_request_id("probe-of-the-bench");
  request.mutable_submit()->set_max_tokens(1);
  std::vector<double> us;
  for (int64_t i = 0; i < tokens; ++i) {
    const auto sent = Clock::now();
    ATOLL_CHECK(stream.Send(request), "send");
    while (received < i + 1) std::this_thread::yield();
    us.push_back(1e6 * Seconds(received_at.load() - sent) / 2);
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  return Median(std::move(us));
}

// Clients that never read, each asking for 400 KB: what they cost the router until they are ended.
void SlowReaders(const RouterProcess& router, FakeAttentionNode& node, int count) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // a client's window that does not grow
  const auto stub = v1::InferenceService::NewStub(grpc::CreateCustomChannel(router.address, grpc::InsecureChannelCredentials(), arguments));
  v1::GenerateRequest request;
  request.mutable_token_ids()->add_ids(1);
  request.mutable_stopping()->set_max_tokens(2000);
  request.set_logprobs(20);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>>> readers;
  const int64_t before = router.ResidentBytes();
  for (int i = 0; i < count; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(stub->Generate(contexts.back().get(), request));
  }
  ATOLL_CHECK(WaitFor([&] { return node.live() == static_cast<size_t>(count); }), "the calls did not start");
  int64_t most = before;
  while (node.Step(10) > 0) most = std::max(most, router.ResidentBytes());
  most = std::max(most, router.ResidentBytes());
  for (const auto& context : contexts) context->TryCancel();
  for (const auto& reader : readers) (void)reader->Finish();
  std::printf("%d clients that do not read, 400 KB asked for by each: the router grew by %.1f MB, %.0f KB a client (%zu were ended)\n", count,
              1e-6 * static_cast<double>(most - before), 1e-3 * static_cast<double>(most - before) / count, node.cancelled());
}

int Main(int streams, int64_t tokens) {
  const RouterProcess router = StartRouter(true);
  const BareNode bare_node = StartBareNode();
  const int cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  if (cpus > 1) PinTo(1, cpus - 1);
  net::PrepareGrpc();
  SetLogLevel(LogLevel::kError);
  FakeAttentionNode node;
  FakeMember expert(router.address, ExpertHello("e1", router.fingerprint));
  FakeMember attention(router.address, AttentionHello("a1", router.fingerprint, node.address()));
  const auto stub = v1::ClusterService::NewStub(net::MakeChannel(router.address));
  const auto ready = [&] {
    grpc::ClientContext context;
    v1::GetStatusResponse status;
    return stub->GetStatus(&context, {}, &status).ok() && status.ready();
  };
  ATOLL_CHECK(WaitFor(ready), "the router did not get ready");
  for (const double rate : {20000.0, 50000.0, 1e9}) Throughput(router, node, streams, tokens, rate);
  const double bare = BareLatencyUs(bare_node.address, 1000);
  const double routed = RoutedLatencyUs(router, node, 1000);
  std::printf("latency of a token, median: bare stream %.0f us, through the router %.0f us: added %.0f us = %.2f x a bare stream\n", bare, routed,
              routed - bare, (routed - bare) / bare);
  for (int round = 0; round < 3; ++round) SlowReaders(router, node, 200);
  router.Kill();
  bare_node.Kill();
  return 0;
}

}  // namespace
}  // namespace atoll::router

int main(int argc, char** argv) {
  return atoll::router::Main(argc > 1 ? std::atoi(argv[1]) : 64, argc > 2 ? std::strtoll(argv[2], nullptr, 10) : 1000);
}
