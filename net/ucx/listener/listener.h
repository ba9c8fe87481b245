#pragma once

// A ucp_listener on host:port. Serialized like its worker (worker.h).

#include <ucp/api/ucp.h>

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "net/ucx/settings.h"
#include "net/ucx/worker.h"

namespace atoll::net {

class UcxListener {
 public:
  // `on_request` is called from inside UCX: it may only take a note, and gets each request exactly once.
  static absl::StatusOr<std::unique_ptr<UcxListener>> Create(UcxWorker& worker, const UcxOptions& options,
                                                             std::function<void(ucp_conn_request_h)> on_request);
  ~UcxListener();

  void Reject(ucp_conn_request_h request);
  const std::string& address() const { return address_; }  // with the real port

 private:
  explicit UcxListener(std::function<void(ucp_conn_request_h)> on_request) : on_request_(std::move(on_request)) {}

  std::function<void(ucp_conn_request_h)> on_request_;
  ucp_listener_h listener_ = nullptr;
  std::string address_;
};

}  // namespace atoll::net
