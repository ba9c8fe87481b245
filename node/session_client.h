#pragma once

// Asks a data-receiving node for a session: one gRPC call, whose answer is the ticket for net::LinkHost::Connect.

#include <chrono>
#include <string>

#include "base/status.h"
#include "node/session.h"

namespace atoll::node {

// Blocks up to `timeout`. Unavailable when nobody answers, FailedPrecondition when the callee is of another model, dtype
// or incarnation, ResourceExhausted when it takes no further session, Internal for an answer that makes no sense.
absl::StatusOr<net::SessionTicket> OpenSession(const std::string& control_address, const SessionRequest& request,
                                               std::chrono::milliseconds timeout);

}  // namespace atoll::node
