#include "net/ucx/endpoint.h"

#include <cstring>

#include "net/ucx/address.h"

namespace atoll::net {

struct UcxEndpoint::Slot {
  UcxEndpoint* owner;
  std::array<std::byte, kHeaderBytes> header;
  std::unique_ptr<std::byte[]> payload;
  size_t capacity = 0;
};

UcxEndpoint::UcxEndpoint(UcxWorker& worker, std::function<void(UcxEndpoint&, ucs_status_t)> on_lost)
    : worker_(worker), on_lost_(std::move(on_lost)) {}

UcxEndpoint::~UcxEndpoint() = default;

absl::Status UcxEndpoint::Create(ucp_ep_params_t params) {
  params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.arg = this;
  params.err_handler.cb = [](void* arg, ucp_ep_h, ucs_status_t status) {
    auto& endpoint = *static_cast<UcxEndpoint*>(arg);
    endpoint.on_lost_(endpoint, status);
  };
  const ucs_status_t status = ucp_ep_create(worker_.handle(), &params, &ep_);
  return status == UCS_OK ? absl::OkStatus() : UcxError("creating a UCX endpoint", status);
}

absl::Status UcxEndpoint::Connect(const SocketAddress& address) {
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR;
  params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
  params.sockaddr.addr = reinterpret_cast<const sockaddr*>(&address.storage);
  params.sockaddr.addrlen = address.bytes;
  return Create(params);
}

absl::Status UcxEndpoint::Accept(ucp_conn_request_h request) {
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST;
  params.conn_request = request;
  return Create(params);
}

UcxEndpoint::Slot& UcxEndpoint::TakeSlot(size_t payload_bytes) {
  if (free_slots_.empty()) free_slots_.push_back(slots_.emplace_back(std::make_unique<Slot>()).get());
  Slot& slot = *free_slots_.back();
  free_slots_.pop_back();
  slot.owner = this;
  if (slot.capacity < payload_bytes) {
    slot.payload = std::make_unique_for_overwrite<std::byte[]>(payload_bytes);
    slot.capacity = payload_bytes;
  }
  ++busy_slots_;
  return slot;
}

void UcxEndpoint::GiveBack(Slot& slot) {
  --busy_slots_;
  free_slots_.push_back(&slot);
}

absl::Status UcxEndpoint::Send(std::span<const std::byte, kHeaderBytes> header, Payload payload) {
  if (!CanSend()) return absl::ResourceExhaustedError("UCX endpoint: all send slots are in use");
  size_t bytes = 0;
  for (const auto& piece : payload) bytes += piece.size();
  Slot& slot = TakeSlot(bytes);
  std::copy(header.begin(), header.end(), slot.header.begin());
  std::byte* to = slot.payload.get();
  for (const auto& piece : payload) {
    if (!piece.empty()) std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_MEMORY_TYPE;
  param.flags = UCP_AM_SEND_FLAG_EAGER | UCP_AM_SEND_FLAG_REPLY;
  param.memory_type = UCS_MEMORY_TYPE_HOST;
  param.user_data = &slot;
  param.cb.send = [](void* request, ucs_status_t, void* user_data) {
    Slot& done = *static_cast<Slot*>(user_data);
    done.owner->GiveBack(done);
    ucp_request_free(request);
  };
  const ucs_status_ptr_t sent = ucp_am_send_nbx(ep_, kFrameMessageId, slot.header.data(), kHeaderBytes, slot.payload.get(), bytes, &param);
  if (UCS_PTR_IS_PTR(sent)) {
    worker_.Wake();  // a thread that waits armed before there was something to send
    return absl::OkStatus();
  }
  GiveBack(slot);
  return sent == nullptr ? absl::OkStatus() : UcxError("sending", UCS_PTR_STATUS(sent));
}

void UcxEndpoint::StartClose() {
  if (ep_ == nullptr) return;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  close_request_ = ucp_ep_close_nbx(ep_, &param);
  ep_ = nullptr;
}

bool UcxEndpoint::IsGone() {
  if (UCS_PTR_IS_PTR(close_request_) && ucp_request_check_status(close_request_) != UCS_INPROGRESS) {
    ucp_request_free(close_request_);
    close_request_ = nullptr;
  }
  return ep_ == nullptr && !UCS_PTR_IS_PTR(close_request_) && busy_slots_ == 0;
}

}  // namespace atoll::net
