// A peer that speaks UCX but not our use of it.

#include <gtest/gtest.h>
#include <ucp/api/ucp.h>

#include <vector>

#include "net/ucx/endpoint.h"
#include "net/ucx/listener/address.h"
#include "net/ucx/ucx_host.h"
#include "net/ucx/worker.h"
#include "tests/net/link_suite.h"

namespace atoll::net {
namespace {

class UcxHostile : public testing::Test {
 protected:
  void SetUp() override {
    auto host = OpenUcxHost({.name = "victim"}, {.transports = UcxTransports::kTcp}, handler_);
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    worker_ = *UcxWorker::Create();
    const SocketAddress address = *ResolveAddress(host_->data_address());
    ucp_ep_params_t params{};
    params.field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
    params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
    params.sockaddr = {reinterpret_cast<const sockaddr*>(&address.storage), address.bytes};
    params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
    params.err_handler.arg = this;
    params.err_handler.cb = [](void* arg, ucp_ep_h, ucs_status_t) { static_cast<UcxHostile*>(arg)->lost_ = true; };
    ASSERT_EQ(ucp_ep_create(worker_->handle(), &params, &ep_), UCS_OK);
  }
  void TearDown() override {
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = UCP_EP_CLOSE_FLAG_FORCE;
    Finish(ucp_ep_close_nbx(ep_, &param));
    for (ucs_status_ptr_t request : sends_) Finish(request);
  }
  void Finish(ucs_status_ptr_t request) {
    if (!UCS_PTR_IS_PTR(request)) return;
    EXPECT_TRUE(Until([&] { return ucp_request_check_status(request) != UCS_INPROGRESS; }));
    ucp_request_free(request);
  }
  bool Until(const std::function<bool()>& done) {
    return PollUntil({host_.get()}, [&] {
      while (worker_->Progress()) {}
      return done();
    });
  }
  void Send(unsigned id, size_t bytes, uint32_t flags) {
    bytes_.resize(bytes, std::byte{0x5A});
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = flags;
    sends_.push_back(ucp_am_send_nbx(ep_, id, header_, sizeof header_, bytes_.data(), bytes, &param));
  }
  // A true peer still gets its session.
  void ExpectServing() {
    NotingHandler handler;
    const auto peer = *OpenUcxHost({.name = "peer"}, {.transports = UcxTransports::kTcp}, handler);
    ASSERT_TRUE(peer->Connect(*host_->AllowSession("peer", TestTerms())).ok());
    EXPECT_TRUE(PollUntil({host_.get(), peer.get()}, [&] { return handler.opened.size() == 1; }));
  }

  NotingHandler handler_;
  std::unique_ptr<LinkHost> host_;
  std::unique_ptr<UcxWorker> worker_;
  ucp_ep_h ep_ = nullptr;
  std::vector<std::byte> bytes_;
  std::byte header_[kHeaderBytes]{};
  std::vector<ucs_status_ptr_t> sends_;
  bool lost_ = false;
};

TEST_F(UcxHostile, B54_OtherMessageIdsAreDropped) {
  for (unsigned id : {0u, 2u, 77u}) Send(id, 100, UCP_AM_SEND_FLAG_EAGER | UCP_AM_SEND_FLAG_REPLY);
  ASSERT_TRUE(Until([&] { return host_->counters().accepted == 1; }));
  ExpectServing();
  EXPECT_EQ(host_->counters().unattributed_frames, 0u);
}

TEST_F(UcxHostile, MessagesWithoutASenderAreCounted) {
  Send(kFrameMessageId, 100, UCP_AM_SEND_FLAG_EAGER);
  EXPECT_TRUE(Until([&] { return host_->counters().unattributed_frames == 1; }));
  ExpectServing();
}

TEST_F(UcxHostile, B56_RendezvousIsRefused) {
  Send(kFrameMessageId, 8 << 20, UCP_AM_SEND_FLAG_RNDV | UCP_AM_SEND_FLAG_REPLY);
  EXPECT_TRUE(Until([&] { return host_->counters().unattributed_frames == 1; }));
  ExpectServing();
}

TEST_F(UcxHostile, B56_AMessageLargerThanAPartIsRefused) {
  Send(kFrameMessageId, 8 << 20, UCP_AM_SEND_FLAG_EAGER | UCP_AM_SEND_FLAG_REPLY);
  EXPECT_TRUE(Until([&] { return lost_; }));
  EXPECT_EQ(host_->counters().refused_handshakes, 1u);
  ExpectServing();
}

}  // namespace
}  // namespace atoll::net
