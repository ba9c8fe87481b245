#pragma once

// What a client can make an HTTP server hold, and for how long.

#include <cstddef>
#include <cstdint>

namespace atoll::router::http {

struct ServerLimits {
  size_t connections_max = 4096;
  size_t header_bytes_max = 32 << 10;
  size_t body_bytes_max = 16 << 20;
  size_t bodies_bytes_max = 256 << 20;  // of all connections together
  int64_t idle_timeout_ms = 75 * 1000;  // between two requests of a connection
  int64_t header_timeout_ms = 10 * 1000;
  int64_t body_timeout_ms = 60 * 1000;
  int64_t write_timeout_ms = 60 * 1000;  // for one piece of an answer to be taken by the client
  int64_t pulse_ms = 10 * 1000;          // after so long a silence a stream says that it is alive
};

}  // namespace atoll::router::http
