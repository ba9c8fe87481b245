#pragma once

// An HTTP/1.1 server on one port: bounded connections, headers and bodies, deadlines for slow clients, streams with
// backpressure. One thread serves all connections; handlers run on it and must not block.

#include <chrono>
#include <memory>
#include <string>

#include "base/status.h"
#include "router/http/server/exchange.h"
#include "router/http/server/limits.h"

namespace atoll::router::http {

struct ServerOptions {
  std::string listen;  // HOST:PORT, [v6]:PORT; port 0 picks a free one
  std::string option = "--listen-http";  // named in errors
  ServerLimits limits;
  // What a request that is no HTTP, too large or too slow is answered with; 400, 408, 413, 431, 503.
  std::function<Response(int status, std::string_view sentence)> error;
};

struct ServerTotals {
  int64_t connections = 0;  // now
  int64_t accepted = 0;
  int64_t refused = 0;  // for want of room
  int64_t bad = 0;      // requests that were answered with an `error`
};

// Thread-safe after Start; Shutdown not on the server's thread.
class Server {
 public:
  // UNAVAILABLE where the address cannot be listened on, INVALID_ARGUMENT where it is none.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options, Handler handler);
  virtual ~Server() = default;  // shuts down at once

  // HOST:PORT as listened on, with the real port.
  virtual const std::string& address() const = 0;
  virtual ServerTotals totals() const = 0;

  // No new connections; idle ones close, running answers may end within `grace`, then they are cut.
  virtual void Shutdown(std::chrono::milliseconds grace) = 0;
};

// The process may have as many open files as the system lets it. Returns that number.
size_t RaiseOpenFiles();

}  // namespace atoll::router::http
