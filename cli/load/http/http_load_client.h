#pragma once

// An OpenAI-compatible HTTP server as the target of a load test.

#include <memory>
#include <string>

#include "cli/load/load_target.h"

namespace atoll::load {

// `address`: HOST:PORT. Plain HTTP/1.1, one connection per call in flight, used again afterwards. The key, where it is not
// empty, is sent as a bearer token.
absl::StatusOr<std::unique_ptr<LoadTarget>> MakeHttpTarget(const std::string& address, const std::string& api_key);

}  // namespace atoll::load
