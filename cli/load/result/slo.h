#pragma once

// A service level: upper bounds that a request must keep to count as good.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "cli/load/result/record.h"

namespace atoll::load {

struct Slo {
  std::optional<int64_t> ttft_ns, tpot_ns, itl_ns, e2e_ns;  // itl: the longest gap of the request

  // "ttft=500ms,tpot=50ms"; also itl and e2e.
  static absl::StatusOr<Slo> Parse(std::string_view text);

  bool given() const { return ttft_ns || tpot_ns || itl_ns || e2e_ns; }
  // Only a request that is ok can be within; without bounds each of those is.
  bool Within(const RequestRecord& record) const;
};

}  // namespace atoll::load
