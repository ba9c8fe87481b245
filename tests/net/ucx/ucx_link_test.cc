#include "net/ucx/ucx_host.h"
#include "net/ucx/ucx_transport.h"
#include <signal.h>

#include "tests/net/ucx/child_process.h"
#include "tests/net/hostile_suite_cases.h"
#include "tests/net/ucx/listening_ports.h"
#include "tests/net/ucx/ticket_text.h"

namespace atoll::net {
namespace {

class UcxTestNetwork final : public TestNetwork {
 public:
  explicit UcxTestNetwork(UcxTransports transports) : transports_(transports) {}
  std::unique_ptr<LinkHost> Open(const LinkHostOptions& options, LinkHandler& handler) override {
    auto host = OpenUcxHost(options, {.transports = transports_}, handler);
    if (!host.ok()) ADD_FAILURE() << host.status();
    return host.ok() ? *std::move(host) : nullptr;
  }
  std::unique_ptr<Transport> OpenTransport(const std::string&) override {
    auto transport = UcxTransport::Create({.transports = transports_});
    return transport.ok() ? *std::move(transport) : nullptr;
  }

 private:
  UcxTransports transports_;
};

const auto kKinds = testing::Values(NetworkKind{"tcp", [] { return std::make_unique<UcxTestNetwork>(UcxTransports::kTcp); }},
                                         NetworkKind{"shm", [] { return std::make_unique<UcxTestNetwork>(UcxTransports::kShm); }});
std::string KindName(const testing::TestParamInfo<NetworkKind>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Ucx, LinkSuite, kKinds, KindName);
INSTANTIATE_TEST_SUITE_P(Ucx, HostileSuite, kKinds, KindName);


// A peer in a process of its own.
class UcxPeerProcess : public testing::TestWithParam<NetworkKind> {
 protected:
  void SetUp() override {
    peer_ = std::make_unique<ChildProcess>(std::vector<std::string>{ATOLL_BINARY_DIR "/net_link_peer", GetParam().name, "64", "2"});
    tickets_ = {ParseTicket(peer_->ReadLine()), ParseTicket(peer_->ReadLine())};
    host_ = GetParam().make()->Open({.name = "observer"}, handler_);
    const auto link = host_->Connect(tickets_[0]);
    ASSERT_TRUE(link.ok()) << link.status();
    link_ = *link;
    ASSERT_TRUE(PollUntil({host_.get()}, [&] { return handler_.opened.size() == 1; }));
  }
  // Milliseconds until the link closed.
  int64_t MsUntilClosed() {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(PollUntil({host_.get()}, [&] { return handler_.closed.size() == 1; }));
    EXPECT_EQ(handler_.closed[0].code(), absl::StatusCode::kUnavailable) << handler_.closed[0];
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
  }
  void RoundTrip(Link& link) {
    const size_t before = handler_.frames.size();
    ASSERT_TRUE(MakeDispatch(3, 5, tickets_[0].terms.limits).SendOn(link).ok());
    ASSERT_TRUE(PollUntil({host_.get()}, [&] { return handler_.frames.size() == before + 1; }));
    EXPECT_EQ(handler_.frames.back().header.type, FrameType::kResult);
    EXPECT_EQ(handler_.frames.back().payload.size(), 5u * 128);
  }

  NotingHandler handler_;
  std::unique_ptr<ChildProcess> peer_;
  std::vector<SessionTicket> tickets_;
  std::unique_ptr<LinkHost> host_;
  Link* link_ = nullptr;
};
INSTANTIATE_TEST_SUITE_P(Ucx, UcxPeerProcess, kKinds, KindName);

TEST_P(UcxPeerProcess, AnIdlePeerThatIsKilledIsNoticedAtOnce) {
  RoundTrip(*link_);
  peer_->Signal(SIGKILL);
  (void)MsUntilClosed();
  EXPECT_THAT(std::string(handler_.closed[0].message()), testing::HasSubstr("was lost"));  // and not: silent
}

TEST_P(UcxPeerProcess, APeerKilledUnderLoadLeavesNothingBehind) {
  peer_->Signal(SIGSTOP);
  const TestFrame frame = MakeDispatch(1, 1900, tickets_[0].terms.limits);
  while (link_->CanSend()) ASSERT_TRUE(frame.SendOn(*link_).ok());
  peer_->Signal(SIGKILL);
  (void)MsUntilClosed();
  EXPECT_THAT(std::string(handler_.closed[0].message()), testing::HasSubstr("was lost"));
  host_.reset();  // returns although sends were under way
}

TEST_P(UcxPeerProcess, AStoppedPeerIsReportedAsSilent) {
  RoundTrip(*link_);
  peer_->Signal(SIGSTOP);
  const int64_t ms = MsUntilClosed();
  EXPECT_GT(ms, 400);
  EXPECT_THAT(std::string(handler_.closed[0].message()), testing::HasSubstr("silent for 500 ms"));
  peer_->Signal(SIGCONT);  // and can be reached again
  const auto again = host_->Connect(tickets_[1]);
  ASSERT_TRUE(again.ok());
  ASSERT_TRUE(PollUntil({host_.get()}, [&] { return handler_.opened.size() == 1; }));
  RoundTrip(**again);
}

TEST_P(UcxPeerProcess, NobodyListening) {
  peer_->Signal(SIGKILL);
  (void)MsUntilClosed();
  ASSERT_TRUE(host_->Connect(tickets_[1]).ok());
  ASSERT_TRUE(PollUntil({host_.get()}, [&] { return handler_.closed.size() == 2; }));
  EXPECT_EQ(handler_.closed[1].code(), absl::StatusCode::kUnavailable);
}

TEST_P(UcxPeerProcess, B53_OtherProtocolsOnAnyOfItsPortsDisturbNobody) {
  const std::vector<int> ports = ListeningPorts(peer_->pid());
  ASSERT_GE(ports.size(), 1u);
  const std::string garbage[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), std::string(65536, '\xFF'),
                                 std::string(3, '\0'), std::string(64, '\0'), ""};
  for (int port : ports) {
    for (const std::string& bytes : garbage) SendBytes(port, bytes);
  }
  RoundTrip(*link_);
  const auto again = host_->Connect(tickets_[1]);
  ASSERT_TRUE(again.ok());
  ASSERT_TRUE(PollUntil({host_.get()}, [&] { return handler_.opened.size() == 2; }));
  RoundTrip(**again);
}

}  // namespace
}  // namespace atoll::net
