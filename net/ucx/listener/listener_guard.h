#pragma once

// UCX 1.13 ends the whole process (an assertion) when a connection to its listener sends anything but UCX's own first
// message: an HTTP request or a TLS hello is enough. So the kernel drops, before UCX reads them, segments of the
// listener's connections that are not one whole message of UCX's connection manager (length, status, then that many
// bytes). What a stranger sends then never arrives, and its connection idles until it hangs up.
//
// It does not stop somebody who forges UCX's messages: who may reach the data ports at all is the network's business.

#include <cstdint>

#include "base/status.h"

namespace atoll::net {

// Of this process's listening socket on `port`; connections accepted later inherit the guard. Internal when the socket is
// not found or the kernel refuses; where it refuses for want of a privilege, a warning and no guard.
absl::Status GuardListener(uint16_t port);

}  // namespace atoll::net
