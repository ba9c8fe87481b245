#pragma once

// What happens to each message of an in-memory network: a pure function of the seed, the connection's name and the
// message's number, so that a failure replays whatever the threads did.

#include <cstdint>
#include <string_view>

namespace atoll::net {

struct FaultPlan {
  uint64_t seed = 0;
  double loss = 0;        // probabilities per message
  double duplicate = 0;
  double reorder = 0;     // later messages overtake it within reorder_ns
  double disconnect = 0;  // the connection ends instead
  int64_t delay_min_ns = 0;
  int64_t delay_max_ns = 0;
  int64_t reorder_ns = 1'000'000;
};

struct MessageFate {
  bool lost = false, duplicated = false, reordered = false, disconnects = false;
  int64_t delay_ns = 0;
};

MessageFate Decide(const FaultPlan& plan, std::string_view connection, uint64_t message);

}  // namespace atoll::net
