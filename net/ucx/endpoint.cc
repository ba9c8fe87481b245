#include "net/ucx/endpoint.h"

#include "net/ucx/listener/address.h"

namespace atoll::net {

UcxEndpoint::UcxEndpoint(UcxWorker& worker, const SlotDatatype& datatype, std::function<void(UcxEndpoint&, ucs_status_t)> on_lost)
    : worker_(worker), datatype_(datatype), on_lost_(std::move(on_lost)) {}

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

SendSlot& UcxEndpoint::TakeSlot() {
  if (free_slots_.empty()) free_slots_.push_back(slots_.emplace_back(std::make_unique<SendSlot>(*this)).get());
  SendSlot& slot = *free_slots_.back();
  free_slots_.pop_back();
  ++busy_slots_;
  return slot;
}

void UcxEndpoint::GiveBack(SendSlot& slot) {
  slot.DropKeeper();
  --busy_slots_;
  free_slots_.push_back(&slot);
}

absl::Status UcxEndpoint::Send(std::span<const std::byte, kHeaderBytes> header, Payload payload, std::shared_ptr<const void> keeper) {
  if (!CanSend()) return absl::ResourceExhaustedError("UCX endpoint: all send slots are in use");
  SendSlot& slot = TakeSlot();
  slot.Fill(header, payload, std::move(keeper));
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_DATATYPE;
  param.flags = UCP_AM_SEND_FLAG_EAGER | UCP_AM_SEND_FLAG_REPLY;
  param.datatype = datatype_.handle();
  param.user_data = &slot;
  param.cb.send = [](void* request, ucs_status_t, void* user_data) {
    SendSlot& done = *static_cast<SendSlot*>(user_data);
    done.owner().GiveBack(done);
    ucp_request_free(request);
  };
  const std::span<const std::byte> whole = slot.KeptPiece();
  if (!whole.empty()) param.datatype = ucp_dt_make_contig(1);
  const void* const buffer = whole.empty() ? static_cast<const void*>(&slot) : whole.data();
  const size_t count = whole.empty() ? 1 : whole.size();
  const ucs_status_ptr_t sent = ucp_am_send_nbx(ep_, kFrameMessageId, slot.header(), kHeaderBytes, buffer, count, &param);
  if (UCS_PTR_IS_PTR(sent)) {
    slot.KeepBytes();
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
