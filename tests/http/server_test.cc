// The HTTP server alone: what a client may send, and how it is answered.

#include "router/http/server/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/base/wait_for.h"
#include "tests/http/raw_client.h"

namespace atoll::router::http {
namespace {

class ServerTest : public testing::Test {
 protected:
  void Start(ServerLimits limits = {}) {
    ServerOptions options{.listen = "127.0.0.1:0",
                          .limits = limits,
                          .error = [](int status, std::string_view sentence) {
                            return Response{.status = status, .content_type = "text/plain", .headers = {}, .body = std::string(sentence)};
                          }};
    auto server = Server::Start(options, [this](Request request, std::shared_ptr<Exchange> exchange) { Handle(std::move(request), std::move(exchange)); });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // "/echo" answers with method, query and body; "/hold" keeps the exchange; "/drop" loses it, "/at-once" has another thread
  // answer before the handler returns.
  void Handle(Request request, std::shared_ptr<Exchange> exchange) {
    ++handled_;
    if (request.path == "/hold") {
      exchange->OnGone([this] { gone_ = true; });
      std::lock_guard lock(mutex_);
      held_.push_back(std::move(exchange));
    } else if (request.path == "/at-once") {
      exchange->Stream({.status = 200, .content_type = "text/plain", .headers = {}, .body = ""}, "");
      std::thread([&] {
        exchange->Write("one", [](bool) {});
        exchange->Finish("two");
      }).join();
    } else if (request.path != "/drop") {
      exchange->Respond({.status = 200, .content_type = "text/plain", .headers = {},
                         .body = absl::StrCat(request.method, " ", request.path, "?", request.query, " ", request.body)});
    }
  }

  std::shared_ptr<Exchange> Held() {
    EXPECT_TRUE(WaitFor([this] { std::lock_guard lock(mutex_); return !held_.empty(); }));
    std::lock_guard lock(mutex_);
    auto exchange = held_.front();
    held_.pop_front();
    return exchange;
  }

  std::string Ask(std::string_view bytes) {
    RawClient client(server_->address());
    client.Send(bytes);
    return client.ReadAll();
  }
  int Status(std::string_view bytes) { return StatusOf(Ask(bytes)); }

  std::mutex mutex_;
  std::deque<std::shared_ptr<Exchange>> held_;
  std::atomic<bool> gone_{false};
  std::atomic<int> handled_{0};
  std::unique_ptr<Server> server_;
};

constexpr char kClose[] = "Host: x\r\nConnection: close\r\n\r\n";

TEST_F(ServerTest, AnswersRequestsOfOneConnectionInOrder) {
  Start();
  RawClient client(server_->address());
  client.Send("GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloHEAD /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.ReadAll();
  const size_t first = all.find("GET /a?b=1 ");
  const size_t second = all.find("POST /echo? hello");
  EXPECT_NE(first, std::string::npos) << all;
  EXPECT_GT(second, first) << all;
  EXPECT_EQ(all.substr(all.size() - 4), "\r\n\r\n") << "the answer to HEAD has a body: " << all;
  EXPECT_EQ(handled_, 3);
}

TEST_F(ServerTest, ReadsAChunkedBodyOfTinyChunks) {
  Start();
  RawClient client(server_->address());
  std::string body;
  for (int i = 0; i < 2000; ++i) body += "1\r\nx\r\n";
  client.Send(absl::StrCat("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", kClose, body, "0\r\n\r\n"));
  EXPECT_NE(client.ReadAll().find(std::string(2000, 'x')), std::string::npos);
}

TEST_F(ServerTest, RefusesBodiesOverTheLimit) {
  Start({.body_bytes_max = 100000});
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nContent-Length: 100001\r\n", kClose)), 413);
  std::string body;
  for (int i = 0; i < 500000; ++i) body += "1\r\nx\r\n";  // 3 MB on the wire
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", kClose, body, "0\r\n\r\n")), 413);
  EXPECT_EQ(handled_, 0);
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nContent-Length: 100000\r\n", kClose, std::string(100000, 'y'))), 200);
}

TEST_F(ServerTest, RefusesMoreBodyBytesThanAllMayHaveTogether) {
  Start({.bodies_bytes_max = 50000});
  RawClient first(server_->address());
  first.Send(absl::StrCat("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n", std::string(39999, 'y')));
  EXPECT_EQ(Status("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 200);
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nContent-Length: 20000\r\n", kClose, std::string(20000, 'y'))), 503);
  first.Send("y");
  EXPECT_EQ(StatusOf(first.ReadUntil("yyyy")), 200);
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nContent-Length: 20000\r\n", kClose, std::string(20000, 'y'))), 200);
}

TEST_F(ServerTest, RefusesWhatIsNotAcceptableHttp) {
  Start();
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", kClose, "0\r\n\r\n")), 400);
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", kClose, "0\r\n\r\n")), 400);
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n", kClose, "abcd")), 400);
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nContent-Length: -1\r\n", kClose)), 400);
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n", kClose)), 400);
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n", kClose, "0\r\n\r\n")), 400);
  EXPECT_EQ(Status(absl::StrCat("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", kClose, "xyz\r\n")), 400);
  EXPECT_EQ(Status(absl::StrCat("GET http://evil.example/a HTTP/1.1\r\n", kClose)), 400);
  EXPECT_EQ(Status(absl::StrCat("GET * HTTP/1.1\r\n", kClose)), 400);
  EXPECT_EQ(Status(absl::StrCat("GET /a HTTP/1.1\r\nHost: y\r\n", kClose)), 400);
  EXPECT_EQ(Status("GET /a HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(Status("GET /a\r\n\r\n"), 400);
  EXPECT_EQ(Status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400);
  EXPECT_EQ(Status(absl::StrCat("GET /a HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", kClose)), 400);
  EXPECT_EQ(Status(absl::StrCat("GET /a HTTP/1.1\r\nbad header\r\n", kClose)), 400);
  EXPECT_EQ(Status(std::string("GET /\0a HTTP/1.1\r\nHost: x\r\n\r\n", 30)), 400);
  EXPECT_EQ(handled_, 0);
  EXPECT_TRUE(WaitFor([this] { return server_->totals().bad == 16; })) << server_->totals().bad;
}

TEST_F(ServerTest, RefusesLargeHeaders) {
  Start();
  EXPECT_EQ(Status(absl::StrCat("GET /a HTTP/1.1\r\nX: ", std::string(1 << 20, 'a'), "\r\n", kClose)), 431);
  std::string lines;
  for (int i = 0; i < 10000; ++i) absl::StrAppend(&lines, "A", i, ": b\r\n");
  EXPECT_EQ(Status(absl::StrCat("GET /a HTTP/1.1\r\n", lines, kClose)), 431);
  EXPECT_EQ(Status(absl::StrCat("GET /", std::string(1 << 20, 'a'), " HTTP/1.1\r\n", kClose)), 431);
}

TEST_F(ServerTest, TimesOutSlowHeadersAndBodiesAndIdleConnections) {
  Start({.idle_timeout_ms = 300, .header_timeout_ms = 300, .body_timeout_ms = 300});
  EXPECT_EQ(Status("GET /a HTTP/1.1\r\nHost:"), 408);
  EXPECT_EQ(Status("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"), 408);
  EXPECT_EQ(Ask(""), "");
  EXPECT_EQ(handled_, 0);
}

TEST_F(ServerTest, AsksForABodyThatWaitsForIt) {
  Start();
  RawClient client(server_->address());
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("ok");
  EXPECT_NE(client.ReadUntil("? ok").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, TurnsAwayConnectionsOverTheLimit) {
  Start({.connections_max = 2});
  RawClient first(server_->address());
  RawClient second(server_->address());
  EXPECT_TRUE(WaitFor([this] { return server_->totals().connections == 2; }));
  RawClient third(server_->address());
  EXPECT_EQ(StatusOf(third.ReadAll()), 503);
  EXPECT_EQ(server_->totals().refused, 1);
  first.Close();
  EXPECT_TRUE(WaitFor([this] { return server_->totals().connections == 1; }));
  EXPECT_EQ(Status(absl::StrCat("GET /a HTTP/1.1\r\n", kClose)), 200);
}

TEST_F(ServerTest, StreamsPiecesAndKeepsTheConnection) {
  Start();
  RawClient client(server_->address());
  client.Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  auto exchange = Held();
  exchange->Stream({.status = 200, .content_type = "text/event-stream", .headers = {{"Cache-Control", "no-cache"}}, .body = ""}, "");
  std::atomic<int> written{0};
  exchange->Write("data: 1\n\n", [&](bool ok) { written += ok; });
  const std::string head = client.ReadUntil("data: 1\n\n\r\n");
  EXPECT_NE(head.find("Transfer-Encoding: chunked\r\nCache-Control: no-cache\r\n\r\n9\r\ndata: 1\n\n\r\n"), std::string::npos) << head;
  EXPECT_TRUE(WaitFor([&] { return written == 1; }));
  exchange->Finish("data: [DONE]\n\n");
  exchange->Write("late", [&](bool ok) { written += ok ? 100 : 10; });
  EXPECT_TRUE(WaitFor([&] { return written == 11; }));
  client.ReadUntil("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
  client.Forget();
  client.Send("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadUntil("/again")), 200);
}

TEST_F(ServerTest, WhatTwoThreadsSayComesInItsOrder) {
  Start();
  for (int i = 0; i < 20; ++i) {
    const std::string all = Ask(absl::StrCat("GET /at-once HTTP/1.1\r\n", kClose));
    ASSERT_EQ(StatusOf(all), 200) << all;
    EXPECT_NE(all.find("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), std::string::npos) << all;
  }
}

TEST_F(ServerTest, AFailureIsAStatusBeforeTheFirstPieceAndAnEventAfterIt) {
  Start();
  const Response failure{.status = 503, .content_type = "text/plain", .headers = {}, .body = "no"};
  RawClient early(server_->address());
  early.Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  auto exchange = Held();
  exchange->Stream({}, "");
  exchange->Fail(failure, "data: error\n\n");
  EXPECT_EQ(StatusOf(early.ReadUntil("no")), 503);
  RawClient late(server_->address());
  late.Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  exchange = Held();
  exchange->Stream({}, "");
  exchange->Write("data: 1\n\n", [](bool) {});
  exchange->Fail(failure, "data: error\n\n");
  const std::string all = late.ReadAll();
  EXPECT_EQ(StatusOf(all), 200);
  EXPECT_NE(all.find("data: 1\n\n\r\nd\r\ndata: error\n\n\r\n0\r\n\r\n"), std::string::npos) << all;
  EXPECT_TRUE(late.closed());
}

TEST_F(ServerTest, TellsThatTheClientHasGone) {
  Start();
  RawClient client(server_->address());
  client.Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  auto exchange = Held();
  exchange->Stream({}, "");
  client.Close();
  EXPECT_TRUE(WaitFor([this] { return gone_.load(); }));
  std::atomic<int> written{0};
  exchange->Write("data", [&](bool ok) { written = ok ? 1 : 2; });
  EXPECT_TRUE(WaitFor([&] { return written == 2; }));
}

TEST_F(ServerTest, ASlowReaderHoldsUpItsOwnStreamAloneAndIsCutInTheEnd) {
  Start({.write_timeout_ms = 700});
  RawClient slow(server_->address(), 4096);
  slow.Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  auto exchange = Held();
  exchange->Stream({}, "");
  std::atomic<int> written{0};
  std::atomic<int> cut{0};
  exchange->Write(std::string(4 << 20, 'x'), [&](bool ok) { ++(ok ? written : cut); });
  EXPECT_EQ(Status(absl::StrCat("GET /a HTTP/1.1\r\n", kClose)), 200);
  EXPECT_EQ(written, 0);
  EXPECT_TRUE(WaitFor([&] { return cut == 1; }));
  EXPECT_TRUE(gone_);
}

TEST_F(ServerTest, ASilentStreamSaysThatItIsAlive) {
  Start({.pulse_ms = 200});
  RawClient client(server_->address());
  client.Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  auto exchange = Held();
  exchange->Stream({.status = 200, .content_type = "text/event-stream", .headers = {}, .body = ""}, ": alive\n\n");
  EXPECT_EQ(StatusOf(client.ReadUntil(": alive\n\n\r\n9\r\n: alive\n\n")), 200);
  exchange->Finish("end");
  EXPECT_NE(client.ReadUntil("0\r\n\r\n").find("3\r\nend\r\n0\r\n\r\n"), std::string::npos);
}

TEST_F(ServerTest, AnHttp10ClientGetsAStreamThatEndsWithTheConnection) {
  Start();
  RawClient client(server_->address());
  client.Send("GET /hold HTTP/1.0\r\n\r\n");
  auto exchange = Held();
  exchange->Stream({}, "");
  exchange->Write("one", [](bool) {});
  exchange->Finish("two");
  const std::string all = client.ReadAll();
  EXPECT_EQ(all.find("chunked"), std::string::npos) << all;
  EXPECT_EQ(all.substr(all.find("\r\n\r\n") + 4), "onetwo");
}

TEST_F(ServerTest, AnExchangeThatIsLostIsAnsweredWith500) {
  Start();
  EXPECT_EQ(Status(absl::StrCat("GET /drop HTTP/1.1\r\n", kClose)), 500);
}

TEST_F(ServerTest, ShutdownClosesIdleConnectionsLetsAnswersEndAndCutsTheRest) {
  Start();
  RawClient idle(server_->address());
  RawClient busy(server_->address());
  RawClient stuck(server_->address());
  busy.Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  auto exchange = Held();
  stuck.Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  auto never = Held();
  EXPECT_TRUE(WaitFor([this] { return server_->totals().connections == 3; }));
  std::thread shutdown([this] { server_->Shutdown(std::chrono::milliseconds(1000)); });
  EXPECT_EQ(idle.ReadAll(), "");
  exchange->Respond({.status = 200, .content_type = "text/plain", .headers = {}, .body = "the end"});
  const std::string answer = busy.ReadAll();
  EXPECT_NE(answer.find("the end"), std::string::npos);
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  shutdown.join();
  EXPECT_EQ(stuck.ReadAll(), "");
  EXPECT_TRUE(gone_);
  never.reset();
}

TEST(ServerStartTest, SaysWhatIsWrongWithAnAddress) {
  const auto start = [](const std::string& listen) { return Server::Start({.listen = listen, .option = "--listen-x", .limits = {}, .error = {}}, {}).status(); };
  EXPECT_TRUE(absl::IsInvalidArgument(start("nonsense")));
  EXPECT_TRUE(absl::IsInvalidArgument(start("127.0.0.1:70000")));
  EXPECT_TRUE(absl::IsUnavailable(start("192.0.2.1:80")));
  EXPECT_NE(std::string(start("192.0.2.1:80").message()).find("--listen-x"), std::string::npos);
}

}  // namespace
}  // namespace atoll::router::http
