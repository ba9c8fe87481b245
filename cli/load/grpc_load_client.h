#pragma once

// A router's native gRPC service as the target of a load test.

#include <memory>
#include <string>

#include "cli/load/load_target.h"

namespace atoll::load {

// `in_flight_max` calls at once are spread over connections of at most 512 streams each.
std::unique_ptr<LoadTarget> MakeGrpcTarget(const std::string& address, int64_t in_flight_max);

}  // namespace atoll::load
