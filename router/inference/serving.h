#pragma once

// The cluster as a request sees it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "router/attention/attention_client.h"

namespace atoll::router {

// An attention node that may be given work.
struct AttentionSeat {
  std::shared_ptr<AttentionClient> client;
  int32_t max_num_seqs = 0;
  int32_t max_queued = 0;
  int32_t max_model_len = 0;
};

// The cluster as a request sees it; immutable.
struct Serving {
  std::vector<AttentionSeat> seats;  // none: not ready
  std::string not_ready_reason;
};

class ServingSource {
 public:
  virtual ~ServingSource() = default;
  virtual std::shared_ptr<const Serving> serving() const = 0;
  // The first of `count` ids that nobody else gets.
  virtual uint64_t MintSequenceIds(int32_t count) = 0;
};

}  // namespace atoll::router
