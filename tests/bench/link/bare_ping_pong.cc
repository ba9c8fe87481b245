#include "tests/bench/link/bare_ping_pong.h"

#include <cstring>

#include "base/check.h"
#include "net/ucx/listener/address.h"

namespace atoll::net {
namespace {

constexpr unsigned kMessageId = 9;

}  // namespace

BarePingPong::BarePingPong(const UcxOptions& options) : buffer_(256 * 1024, std::byte{1}) {
  ApplyUcxSettings(options);
  worker_ = *UcxWorker::Create();
  ucp_am_handler_param_t param{};
  param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG | UCP_AM_HANDLER_PARAM_FIELD_FLAGS;
  param.id = kMessageId;
  param.flags = UCP_AM_FLAG_WHOLE_MSG;
  param.arg = this;
  param.cb = [](void* arg, const void* header, size_t, void*, size_t, const ucp_am_recv_param_t* received) {
    auto& self = *static_cast<BarePingPong*>(arg);
    std::memcpy(&self.asked_bytes_, header, 4);
    self.asker_ = received->reply_ep;
    self.arrived_ = true;
    return UCS_OK;
  };
  ATOLL_CHECK(ucp_worker_set_am_recv_handler(worker_->handle(), &param) == UCS_OK, "handler");
  listener_ = *UcxListener::Create(*worker_, options, [this](ucp_conn_request_h request) { requests_.push_back(request); });
}

BarePingPong::~BarePingPong() {
  if (ep_ == nullptr) return;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  const ucs_status_ptr_t request = ucp_ep_close_nbx(ep_, &param);
  while (UCS_PTR_IS_PTR(request) && ucp_request_check_status(request) == UCS_INPROGRESS) worker_->Progress();
  if (UCS_PTR_IS_PTR(request)) ucp_request_free(request);
}

void BarePingPong::CreateEndpoint(ucp_ep_params_t params) {
  params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = [](void*, ucp_ep_h, ucs_status_t) {};
  ATOLL_CHECK(ucp_ep_create(worker_->handle(), &params, &ep_) == UCS_OK, "endpoint");
}

void BarePingPong::Connect(const std::string& address) {
  const SocketAddress target = *ResolveAddress(address);
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR;
  params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
  params.sockaddr.addr = reinterpret_cast<const sockaddr*>(&target.storage);
  params.sockaddr.addrlen = target.bytes;
  CreateEndpoint(params);
}

void BarePingPong::Send(ucp_ep_h ep, uint32_t answer_bytes, size_t bytes) {
  while (sending_ > 0) worker_->Progress();
  std::memcpy(header_, &answer_bytes, 4);
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_MEMORY_TYPE;
  param.flags = UCP_AM_SEND_FLAG_EAGER | UCP_AM_SEND_FLAG_REPLY;
  param.memory_type = UCS_MEMORY_TYPE_HOST;
  param.user_data = &sending_;
  param.cb.send = [](void* request, ucs_status_t, void* user_data) {
    --*static_cast<uint64_t*>(user_data);
    ucp_request_free(request);
  };
  const ucs_status_ptr_t sent = ucp_am_send_nbx(ep, kMessageId, header_, sizeof header_, buffer_.data(), bytes, &param);
  ATOLL_CHECK(!UCS_PTR_IS_ERR(sent), "send");
  if (UCS_PTR_IS_PTR(sent)) ++sending_;
}

void BarePingPong::WaitForMessage() {
  while (!arrived_) {
    if (worker_->Progress()) {
      while (worker_->Progress()) {}
      continue;
    }
    for (; !requests_.empty(); requests_.pop_back()) {
      ucp_ep_params_t params{};
      params.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST;
      params.conn_request = requests_.back();
      CreateEndpoint(params);
    }
    if (worker_->Arm()) worker_->Wait(std::chrono::milliseconds(100));
  }
  arrived_ = false;
}

void BarePingPong::RoundTrip(size_t bytes, uint32_t answer_bytes) {
  Send(ep_, answer_bytes, bytes);
  WaitForMessage();
}

void BarePingPong::Serve() {
  while (true) {
    WaitForMessage();
    Send(asker_, 0, asked_bytes_);
  }
}

}  // namespace atoll::net
