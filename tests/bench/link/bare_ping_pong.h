#pragma once

// The ceiling for a link: UCX active messages with nothing around them. Same settings, same bytes, same header size, same
// wait (arm, then poll) as a link; no copy, no check, no credit.

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/ucx/listener/listener.h"
#include "net/ucx/settings.h"
#include "net/ucx/worker.h"

namespace atoll::net {

class BarePingPong {
 public:
  // With a listener; answers come in the size that the asking header's first four bytes say.
  explicit BarePingPong(const UcxOptions& options);
  ~BarePingPong();

  const std::string& address() const { return listener_->address(); }
  void Connect(const std::string& address);
  // Sends `bytes` and waits for an answer of `answer_bytes`.
  void RoundTrip(size_t bytes, uint32_t answer_bytes);
  [[noreturn]] void Serve();

 private:
  void Send(ucp_ep_h ep, uint32_t answer_bytes, size_t bytes);
  void CreateEndpoint(ucp_ep_params_t params);
  void WaitForMessage();

  std::unique_ptr<UcxWorker> worker_;
  std::unique_ptr<UcxListener> listener_;
  std::vector<ucp_conn_request_h> requests_;
  ucp_ep_h ep_ = nullptr;
  ucp_ep_h asker_ = nullptr;
  uint32_t asked_bytes_ = 0;
  bool arrived_ = false;
  std::vector<std::byte> buffer_;
  std::byte header_[128]{};
  uint64_t sending_ = 0;
};

}  // namespace atoll::net
