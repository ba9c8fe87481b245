#include <gmock/gmock.h>

#include "base/check.h"
#include "net/grpc/server.h"
#include "node/session_client.h"
#include "node/session_service.h"

namespace atoll::node {
namespace {

using namespace std::chrono_literals;

class FakeMinter final : public SessionMinter {
 public:
  absl::StatusOr<net::SessionTicket> Mint(const SessionRequest& r) override {
    request = r;
    if (!answer.ok()) return answer;
    net::SessionTicket ticket;
    ticket.data_address = "127.0.0.1:77";
    ticket.session = 5;
    ticket.incarnation = 6;
    ticket.mac_key = net::RandomKey();
    ticket.terms = r.terms;
    ticket.terms.limits.layers = 7;
    ticket.terms.limits.experts = 32;
    ticket.terms.window = 99;
    ticket.terms.numerics_fingerprint = 1234;
    ticket.terms.limits.part_bytes = 100'000;
    ticket.terms.limits.rows_max = 50;
    ticket.terms.limits.pairs_max = 60;
    sent = ticket;
    return ticket;
  }

  SessionRequest request;
  net::SessionTicket sent;
  absl::Status answer;
};

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    auto server = net::GrpcServer::Start({.listen = "127.0.0.1:0"}, {service_.get()});
    ATOLL_CHECK(server.ok(), std::string(server.status().message()));
    server_ = *std::move(server);
  }

  static SessionRequest Request(DType dtype = DType::kBF16) {
    auto config = model::LoadModelConfig(ATOLL_SOURCE_DIR "/checkpoints/tales");
    ATOLL_CHECK(config.ok(), std::string(config.status().message()));
    return {"attention-0", 21, 22, 23, TermsOf(*config, 4242, dtype)};
  }

  FakeMinter minter_;
  std::unique_ptr<grpc::Service> service_ = MakeSessionService(&minter_);
  std::unique_ptr<net::GrpcServer> server_;
};

TEST_F(SessionTest, TheTicketArrivesWhole) {
  for (DType dtype : {DType::kBF16, DType::kF32}) {
    const SessionRequest request = Request(dtype);
    const auto ticket = OpenSession(server_->address(), request, 5000ms);
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    EXPECT_EQ(minter_.request.caller_node_id, "attention-0");
    EXPECT_EQ(minter_.request.caller_incarnation, 21u);
    EXPECT_EQ(minter_.request.callee_incarnation, 22u);
    EXPECT_EQ(minter_.request.epoch, 23u);
    EXPECT_EQ(minter_.request.terms.model_fingerprint, 4242u);
    EXPECT_EQ(minter_.request.terms.limits.hidden_size, 256u);
    EXPECT_EQ(minter_.request.terms.limits.row_dtype, dtype);
    EXPECT_EQ(ticket->data_address, minter_.sent.data_address);
    EXPECT_EQ(ticket->session, 5u);
    EXPECT_EQ(ticket->incarnation, 6u);
    EXPECT_EQ(ticket->mac_key, minter_.sent.mac_key);
    EXPECT_EQ(ticket->terms, minter_.sent.terms);
  }
}

TEST_F(SessionTest, ARefusalArrivesWithItsCode) {
  minter_.answer = absl::FailedPreconditionError("another life");
  const absl::Status status = OpenSession(server_->address(), Request(), 5000ms).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(status.message()), "another life");
}

TEST_F(SessionTest, NobodyThereIsUnavailable) {
  const std::string address = server_->address();
  server_ = nullptr;
  EXPECT_EQ(OpenSession(address, Request(), 2000ms).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SessionTest, AnAnswerOutOfRangeIsNoTicket) {
  SessionRequest request = Request();
  request.terms.limits.hidden_size = 0;
  EXPECT_FALSE(OpenSession(server_->address(), request, 5000ms).ok());
}

}  // namespace
}  // namespace atoll::node
