#pragma once

// A Channel over one UCX endpoint with peer error handling. Serialized like its worker (worker.h). The memory of a send
// (send_slot.h) is ours until UCX completed it, so an endpoint lives on after its close until every send came back.

#include <ucp/api/ucp.h>

#include <functional>
#include <memory>
#include <vector>

#include "net/session/channel.h"
#include "net/ucx/send_slot.h"
#include "net/ucx/worker.h"

namespace atoll::net {

inline constexpr unsigned kFrameMessageId = 1;  // the one active message id; all others are dropped by UCX

class UcxEndpoint final : public Channel {
 public:
  // `on_lost` is called once, from inside UCX: it may only take a note.
  UcxEndpoint(UcxWorker& worker, const SlotDatatype& datatype, std::function<void(UcxEndpoint&, ucs_status_t)> on_lost);
  ~UcxEndpoint() override;

  absl::Status Connect(const struct SocketAddress& address);
  absl::Status Accept(ucp_conn_request_h request);

  bool CanSend() const override { return ep_ != nullptr && busy_slots_ < kSlotsMax; }
  absl::Status Send(std::span<const std::byte, kHeaderBytes> header, Payload payload, std::shared_ptr<const void> keeper) override;

  ucp_ep_h handle() const { return ep_; }
  // Ends the endpoint without asking the peer; sends under way come back as cancelled. Never inside a UCX callback.
  void StartClose();
  // True when UCX owes nothing any more.
  bool IsGone();

 private:
  static constexpr size_t kSlotsMax = 64;

  absl::Status Create(ucp_ep_params_t params);
  SendSlot& TakeSlot();
  void GiveBack(SendSlot& slot);

  UcxWorker& worker_;
  const SlotDatatype& datatype_;
  std::function<void(UcxEndpoint&, ucs_status_t)> on_lost_;
  ucp_ep_h ep_ = nullptr;
  ucs_status_ptr_t close_request_ = nullptr;
  std::vector<std::unique_ptr<SendSlot>> slots_;  // grow to what was ever under way at once
  std::vector<SendSlot*> free_slots_;
  size_t busy_slots_ = 0;
};

}  // namespace atoll::net
