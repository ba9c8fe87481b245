#pragma once

// Dispatch frames for tests: rows of float32 or bf16 whose elements are all `first_value` + row, unless filled otherwise.

#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/dtype.h"
#include "net/body.h"
#include "net/wire_format.h"

namespace atoll::expert_node {

struct DispatchFrame {
  net::FrameHeader header;
  std::vector<std::byte> payload;

  net::DispatchBody Body(const net::FrameLimits& limits) const {
    auto body = net::DispatchBody::Parse(header, payload, limits);
    ATOLL_CHECK(body.ok(), std::string(body.status().message()));
    return *body;
  }
};

inline void PutValue(std::byte* to, DType dtype, float value) {
  const BFloat16 rounded = ToBFloat16(value);
  if (dtype == DType::kF32) std::memcpy(to, &value, 4);
  else std::memcpy(to, &rounded, 2);
}

inline DispatchFrame MakeDispatch(const net::FrameLimits& limits, uint32_t rows, const std::vector<net::Pair>& pairs, float first_value) {
  DispatchFrame frame;
  frame.header.type = net::FrameType::kDispatch;
  frame.header.dtype = limits.row_dtype;
  frame.header.row_count = rows;
  frame.header.pair_count = static_cast<uint32_t>(pairs.size());
  const size_t element = DTypeBytes(limits.row_dtype);
  frame.payload.resize(rows * limits.hidden_size * element + pairs.size() * net::kPairBytes);
  for (size_t i = 0; i < size_t{rows} * limits.hidden_size; ++i)
    PutValue(frame.payload.data() + i * element, limits.row_dtype, first_value + static_cast<float>(i / limits.hidden_size));
  std::memcpy(frame.payload.data() + rows * limits.hidden_size * element, pairs.data(), pairs.size() * net::kPairBytes);
  frame.header.payload_bytes = static_cast<uint32_t>(frame.payload.size());
  return frame;
}

}  // namespace atoll::expert_node
