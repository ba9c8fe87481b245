// Whatever bytes arrive as header and payload: decoding refuses or gives a header whose every count is within the limits,
// body views stay inside the payload, and what was accepted encodes back to the same bytes.
// Input: one byte that picks limits, then the header, then the payload. The header check is made right, so that the
// fuzzer gets past it.

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "net/body.h"
#include "net/crc32c.h"
#include "net/session.h"
#include "net/wire_format.h"

namespace atoll::net {
namespace {

constexpr size_t kCheckAt = 116;

FrameLimits PickLimits(uint8_t choice) {
  static constexpr DType kRowTypes[] = {DType::kBF16, DType::kF32, DType::kF8E4M3};
  return {.hidden_size = choice & 4 ? 7u : 2u,
          .row_dtype = kRowTypes[choice % 3],
          .result_dtype = choice & 8 ? DType::kF32 : DType::kBF16,
          .layers = 4,
          .experts = 8,
          .rows_max = 32,
          .pairs_max = 64,
          .part_bytes = choice & 16 ? kPartBytesMax : 128};
}

void ReadBodies(const FrameHeader& header, std::span<const std::byte> payload, const FrameLimits& limits) {
  volatile unsigned char sink = 0;
  if (header.type == FrameType::kDispatch) {
    const auto body = DispatchBody::Parse(header, payload, limits);
    if (!body.ok()) return;
    for (uint32_t i = 0; i < body->pair_count(); ++i) sink = static_cast<unsigned char>(body->Row(body->PairAt(i).row).back());
  }
  if (header.type == FrameType::kResult) {
    const auto body = ResultBody::Parse(header, payload, limits);
    ATOLL_CHECK(body.ok(), "a decoded result header fits its payload");
    for (uint32_t i = 0; i < body->pair_count(); ++i) sink = static_cast<unsigned char>(body->Row(i).back());
  }
  (void)sink;
}

void CheckAccepted(const FrameHeader& header, std::span<const std::byte> bytes, const FrameLimits& limits) {
  ATOLL_CHECK(header.row_count <= limits.rows_max && header.pair_count <= limits.pairs_max, "counts within the limits");
  ATOLL_CHECK(header.part < header.parts, "part below parts");
  std::array<std::byte, kHeaderBytes> again;
  EncodeHeader(header, MacKey{}, again);
  ATOLL_CHECK(std::equal(again.begin(), again.begin() + kCheckAt, bytes.begin()), "an accepted header encodes to its own bytes");
}

void FuzzOne(std::span<const std::byte> input) {
  if (input.empty()) return;
  const FrameLimits limits = PickLimits(static_cast<uint8_t>(input[0]));
  std::vector<std::byte> header(input.begin() + 1, input.begin() + 1 + static_cast<long>(std::min(kHeaderBytes, input.size() - 1)));
  const std::vector<std::byte> payload(input.begin() + 1 + static_cast<long>(header.size()), input.end());
  (void)DecodeTerms(payload);
  if (header.size() == kHeaderBytes) StoreLittle(&header[kCheckAt], Crc32c(std::span(header).first(kCheckAt)));
  (void)MacMatches(header, MacKey{});
  const auto decoded = DecodeHeader(header, payload.size(), limits);
  if (!decoded.ok()) return;
  CheckAccepted(*decoded, header, limits);
  ReadBodies(*decoded, payload, limits);
}

}  // namespace
}  // namespace atoll::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  atoll::net::FuzzOne(std::as_bytes(std::span(data, size)));
  return 0;
}
