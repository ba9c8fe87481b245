#pragma once

// Commands to run at times of a load test: kill a node, pause one, add one.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace atoll::load {

struct Fault {
  int64_t at_ns = 0;
  std::string command;  // for sh
};

inline constexpr size_t kFaultsMax = 64;

// Each item is "10s COMMAND"; sorted by time.
absl::StatusOr<std::vector<Fault>> ParseFaults(const std::vector<std::string>& items);

// `--at 10s 'COMMAND'` takes two words, which an option cannot: makes them the one word `--at=10s COMMAND`.
std::vector<std::string> JoinFaultWords(int argc, const char* const* argv);

}  // namespace atoll::load
