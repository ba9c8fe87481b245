#pragma once

// The bytes of one frame: a fixed header of 128 bytes, little-endian, then the payload. docs/wire_format.md has the
// offsets. Everything here is pure; a header that comes from a wire is hostile until DecodeHeader and MacMatches said yes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"
#include "base/status.h"
#include "net/mac.h"

namespace atoll::net {

inline constexpr uint32_t kFrameMagic = 0x4C4F5441;  // "ATOL"
inline constexpr uint16_t kFrameVersion = 1;
inline constexpr size_t kHeaderBytes = 128;
inline constexpr uint32_t kPartBytesMax = 248 * 1024;

enum class FrameType : uint8_t {
  kHello = 1,      // first message of the connecting side; payload: EncodeTerms
  kWelcome = 2,    // the listening side's answer to it; payload: EncodeTerms
  kDispatch = 3,   // rows, then pairs (net/body.h)
  kResult = 4,     // one row per pair of the dispatch part it answers, in pair order
  kRefuse = 5,     // answers a dispatch part that is not served; `code` is a RefuseReason
  kCancel = 6,     // the dispatch named by step, layer, micro_batch, attempt is no longer wanted
  kPage = 7,       // latent cache rows
  kWeights = 8,    // expert weights
  kHeartbeat = 9,  // says that its sender lives; the only data-free frame that needs no credit
  kGoodbye = 10,   // last frame of an orderly close; `code` is an absl::StatusCode
};

enum class RefuseReason : uint16_t { kUnknownEpoch = 1, kNotOwned = 2, kOverloaded = 3, kDraining = 4, kMalformed = 5, kInternal = 6 };

// Bits of FrameHeader::flags; all others are refused.
inline constexpr uint16_t kFlagFromListener = 1;  // set on every frame of the listening side: no frame can be reflected

// Host form of the header. Who sends over a Link fills what names the work; the Link fills session, incarnation,
// sequence, granted, payload_bytes and the direction flag.
struct FrameHeader {
  FrameType type = FrameType::kHeartbeat;
  DType dtype{};                 // of the rows in the payload; zero in frames that have none
  uint16_t flags = 0;
  uint32_t deadline_us = 0;      // from sending, relative since clocks differ; 0: none
  uint64_t session = 0;
  uint64_t incarnation = 0;      // of the sending process
  uint64_t epoch = 0;            // placement that the sender acted on
  uint64_t step = 0;
  uint64_t sequence = 0;         // counts the frames of one direction of one session, from 1
  uint64_t granted = 0;          // highest sequence that the sender of this frame accepts by now
  uint16_t layer = 0;
  uint16_t micro_batch = 0;
  uint16_t part = 0;             // of `parts` in which the dispatch goes; a result or refuse repeats those of its dispatch part
  uint16_t parts = 1;
  uint32_t attempt = 0;          // how often this dispatch was sent before
  uint32_t row_count = 0;        // dispatch only
  uint32_t pair_count = 0;       // dispatch, and its result
  uint32_t payload_bytes = 0;
  std::array<std::byte, 25> trace{};  // W3C: trace id, span id, trace flags; zero: none
  uint16_t code = 0;             // result: absl::StatusCode; refuse: RefuseReason; goodbye: absl::StatusCode

  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

// What the two ends of a session agreed on; every count of a header is checked against it before it is used.
struct FrameLimits {
  uint32_t hidden_size = 0;
  DType row_dtype = DType::kBF16;     // of dispatched rows: bf16, float32 or fp8 e4m3
  DType result_dtype = DType::kBF16;  // of result rows: bf16 or float32
  uint32_t layers = 0;                // the MTP layer included
  uint32_t experts = 0;               // ids per layer
  uint32_t rows_max = 4096;           // per part
  uint32_t pairs_max = 16384;         // per part
  uint32_t part_bytes = kPartBytesMax;

  friend bool operator==(const FrameLimits&, const FrameLimits&) = default;
};

// InvalidArgument unless the limits themselves make sense (every field in range; one row, its pair and its result fit a part).
absl::Status CheckLimits(const FrameLimits& limits);

// Bytes of one row on the wire; fp8 rows are followed by ceil(hidden / 128) float32 scales.
uint64_t WireRowBytes(DType dtype, uint32_t hidden_size);

inline constexpr size_t kPairBytes = 4;  // uint16 row of this part, uint16 expert

// Writes all fields, the header check and the MAC.
void EncodeHeader(const FrameHeader& header, const MacKey& key, std::span<std::byte, kHeaderBytes> out);

// InvalidArgument naming the first field of `header` that is out of range, or when `payload_bytes` is not both what the
// header announces and what its type and counts give.
absl::Status CheckHeader(const FrameHeader& header, size_t payload_bytes, const FrameLimits& limits);

// The fields of a header that arrived with `payload_bytes` of payload. Checks everything but the MAC: size, magic, version,
// header check, reserved bits, then CheckHeader.
absl::StatusOr<FrameHeader> DecodeHeader(std::span<const std::byte> bytes, size_t payload_bytes, const FrameLimits& limits);

// Whether the MAC of a header was made with `key`; `bytes` must have kHeaderBytes.
bool MacMatches(std::span<const std::byte> bytes, const MacKey& key);

}  // namespace atoll::net
