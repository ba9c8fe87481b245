#include "tests/net/link_suite.h"

#include <chrono>

#include "net/body.h"

namespace atoll::net {

SessionTerms TestTerms(uint32_t window) {
  SessionTerms terms;
  terms.model_fingerprint = 0x1234;
  terms.numerics_fingerprint = 0x5678;
  terms.limits = {.hidden_size = 64, .layers = 4, .experts = 8};
  terms.window = window;
  return terms;
}

absl::Status TestFrame::SendOn(Link& link) const {
  const std::span<const std::byte> piece = payload;
  return link.Send(header, Payload(&piece, 1));
}

TestFrame MakeDispatch(uint64_t step, uint32_t rows, const FrameLimits& limits) {
  TestFrame frame;
  frame.header.type = FrameType::kDispatch;
  frame.header.dtype = limits.row_dtype;
  frame.header.step = step;
  frame.header.row_count = rows;
  frame.header.pair_count = rows;
  frame.payload.resize(rows * (WireRowBytes(limits.row_dtype, limits.hidden_size) + kPairBytes));
  for (size_t i = 0; i < frame.payload.size(); ++i) frame.payload[i] = static_cast<std::byte>(i * 31 + step);
  const size_t pairs_at = frame.payload.size() - rows * kPairBytes;
  for (uint32_t row = 0; row < rows; ++row) {
    StoreLittle(&frame.payload[pairs_at + row * kPairBytes], static_cast<uint16_t>(row));
    StoreLittle(&frame.payload[pairs_at + row * kPairBytes + 2], uint16_t{0});
  }
  return frame;
}

bool PollUntil(const std::vector<LinkHost*>& hosts, const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    for (LinkHost* host : hosts) host->Poll(std::chrono::microseconds(200));
  }
  return true;
}

}  // namespace atoll::net
