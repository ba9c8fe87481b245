#pragma once

// The one sequence of numbers under which assignments, placements and views go out. They only grow, also over the life of
// a router that nodes still remember.

#include <algorithm>
#include <cstdint>

namespace atoll::router {

class Epochs {
 public:
  uint64_t newest() const { return newest_; }
  uint64_t Next() { return ++newest_; }
  void Raise(uint64_t seen) { newest_ = std::max(newest_, seen); }

 private:
  uint64_t newest_ = 0;
};

}  // namespace atoll::router
