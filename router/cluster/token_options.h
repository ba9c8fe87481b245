#pragma once

// When an attention node counts as making tokens. Plain values.

#include <cstdint>

namespace atoll::router {

struct TokenOptions {
  int64_t probe_after_ms = 0;       // without a token it is asked for one, again and again; 0: never
  int64_t stalled_after_ms = 2500;  // without a token, or a step that gets on, it gets no new requests
};

}  // namespace atoll::router
