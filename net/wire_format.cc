#include "net/wire_format.h"

#include <algorithm>

#include "net/crc32c.h"
#include "net/little_endian.h"

namespace atoll::net {
namespace {

// Offsets of docs/wire_format.md.
enum Offset : size_t {
  kMagic = 0, kVersion = 4, kHeaderLength = 6, kType = 8, kDType = 9, kFlags = 10, kDeadline = 12, kSession = 16,
  kIncarnation = 24, kEpoch = 32, kStep = 40, kSequence = 48, kGranted = 56, kLayer = 64, kMicroBatch = 66, kPart = 68,
  kParts = 70, kAttempt = 72, kRowCount = 76, kPairCount = 80, kPayloadBytes = 84, kTrace = 88, kReserved = 113,
  kCode = 114, kHeaderCheck = 116, kMac = 120
};
static_assert(kMac + 8 == kHeaderBytes);

constexpr uint32_t kHiddenMax = 1u << 20, kLayersMax = 4096, kExpertsMax = 65536, kRowsMax = 65535, kPairsMax = 1u << 20;

absl::Status Malformed(const char* field, uint64_t found, const char* expected) {
  return absl::InvalidArgumentError(absl::StrCat("frame header: ", field, " is ", found, ", expected ", expected));
}

bool HasRows(FrameType type) { return type == FrameType::kDispatch || type == FrameType::kResult; }
bool IsOpaque(FrameType type) { return type == FrameType::kPage || type == FrameType::kWeights; }
bool NamesWork(FrameType type) {
  return HasRows(type) || type == FrameType::kRefuse || type == FrameType::kCancel;
}

// Of a header whose counts are within the limits; opaque frames may have any length up to a part's.
uint64_t ExpectedPayloadBytes(const FrameHeader& h, const FrameLimits& limits) {
  switch (h.type) {
    case FrameType::kDispatch:
      return uint64_t{h.row_count} * WireRowBytes(limits.row_dtype, limits.hidden_size) + uint64_t{h.pair_count} * kPairBytes;
    case FrameType::kResult:
      return h.code == 0 ? uint64_t{h.pair_count} * WireRowBytes(limits.result_dtype, limits.hidden_size) : 0;
    case FrameType::kHello:
    case FrameType::kWelcome: return 64;
    case FrameType::kPage:
    case FrameType::kWeights: return h.payload_bytes;
    default: return 0;
  }
}

DType ExpectedDType(FrameType type, const FrameLimits& limits) {
  if (type == FrameType::kDispatch) return limits.row_dtype;
  return type == FrameType::kResult ? limits.result_dtype : DType{};
}

absl::Status CheckEnvelope(std::span<const std::byte> bytes) {
  if (bytes.size() != kHeaderBytes) return Malformed("size", bytes.size(), "128");
  const auto magic = LoadLittle<uint32_t>(&bytes[kMagic]);
  if (magic != kFrameMagic) return Malformed("magic", magic, "1280265281 (\"ATOL\"): the peer is no Atoll data connection");
  const auto version = LoadLittle<uint16_t>(&bytes[kVersion]);
  if (version != kFrameVersion) return Malformed("version", version, "1: run the same release on all nodes");
  const auto length = LoadLittle<uint16_t>(&bytes[kHeaderLength]);
  if (length != kHeaderBytes) return Malformed("header length", length, "128");
  const auto check = LoadLittle<uint32_t>(&bytes[kHeaderCheck]);
  const uint32_t computed = Crc32c(bytes.first(kHeaderCheck));
  if (check != computed) return Malformed("header check", check, "the CRC-32C of its first 116 bytes");
  if (bytes[kReserved] != std::byte{0}) return Malformed("reserved byte", static_cast<uint64_t>(bytes[kReserved]), "0");
  return absl::OkStatus();
}

FrameHeader Load(const std::byte* bytes) {
  FrameHeader h;
  h.type = LoadLittle<FrameType>(bytes + kType);
  h.dtype = LoadLittle<DType>(bytes + kDType);
  h.flags = LoadLittle<uint16_t>(bytes + kFlags);
  h.deadline_us = LoadLittle<uint32_t>(bytes + kDeadline);
  h.session = LoadLittle<uint64_t>(bytes + kSession);
  h.incarnation = LoadLittle<uint64_t>(bytes + kIncarnation);
  h.epoch = LoadLittle<uint64_t>(bytes + kEpoch);
  h.step = LoadLittle<uint64_t>(bytes + kStep);
  h.sequence = LoadLittle<uint64_t>(bytes + kSequence);
  h.granted = LoadLittle<uint64_t>(bytes + kGranted);
  h.layer = LoadLittle<uint16_t>(bytes + kLayer);
  h.micro_batch = LoadLittle<uint16_t>(bytes + kMicroBatch);
  h.part = LoadLittle<uint16_t>(bytes + kPart);
  h.parts = LoadLittle<uint16_t>(bytes + kParts);
  h.attempt = LoadLittle<uint32_t>(bytes + kAttempt);
  h.row_count = LoadLittle<uint32_t>(bytes + kRowCount);
  h.pair_count = LoadLittle<uint32_t>(bytes + kPairCount);
  h.payload_bytes = LoadLittle<uint32_t>(bytes + kPayloadBytes);
  std::copy_n(bytes + kTrace, h.trace.size(), h.trace.begin());
  h.code = LoadLittle<uint16_t>(bytes + kCode);
  return h;
}

absl::Status CheckCode(const FrameHeader& h) {
  const bool status_code = h.type == FrameType::kResult || h.type == FrameType::kGoodbye;
  if (status_code) return h.code <= 16 ? absl::OkStatus() : Malformed("code", h.code, "a status code up to 16");
  if (h.type == FrameType::kRefuse) {
    return h.code >= 1 && h.code <= static_cast<uint16_t>(RefuseReason::kInternal) ? absl::OkStatus()
                                                                                    : Malformed("code", h.code, "a refuse reason, 1 to 6");
  }
  return h.code == 0 ? absl::OkStatus() : Malformed("code", h.code, "0 in a frame of this type");
}

absl::Status CheckCounts(const FrameHeader& h, const FrameLimits& limits) {
  const uint32_t rows_max = h.type == FrameType::kDispatch ? limits.rows_max : 0;
  const uint32_t pairs_max = HasRows(h.type) ? limits.pairs_max : 0;
  if (h.row_count > rows_max) return Malformed("row count", h.row_count, "at most the session's rows per part");
  if (h.pair_count > pairs_max) return Malformed("pair count", h.pair_count, "at most the session's pairs per part");
  if (h.type == FrameType::kDispatch && (h.row_count == 0 || h.pair_count == 0)) {
    return Malformed("row or pair count", 0, "at least 1 in a dispatch");
  }
  if (h.parts == 0 || h.part >= h.parts) return Malformed("part", h.part, "below the number of parts");
  const uint32_t layers = NamesWork(h.type) || IsOpaque(h.type) ? limits.layers : 1;
  if (h.layer >= layers) return Malformed("layer", h.layer, "below the session's layer count");
  return absl::OkStatus();
}

absl::Status CheckFields(const FrameHeader& h, const FrameLimits& limits) {
  if (h.type < FrameType::kHello || h.type > FrameType::kGoodbye) {
    return Malformed("type", static_cast<uint64_t>(h.type), "1 to 10");
  }
  if (h.flags & ~kFlagFromListener) return Malformed("flags", h.flags, "no reserved bit");
  if (h.session == 0) return Malformed("session", 0, "a session's number");
  if (h.dtype != ExpectedDType(h.type, limits)) return Malformed("dtype", static_cast<uint64_t>(h.dtype), "the session's");
  ATOLL_RETURN_IF_ERROR(CheckCode(h));
  return CheckCounts(h, limits);
}

absl::Status CheckLength(const FrameHeader& h, size_t payload_bytes, const FrameLimits& limits) {
  if (h.payload_bytes != payload_bytes) return Malformed("payload length", h.payload_bytes, "the length that arrived");
  const bool is_handshake = h.type == FrameType::kHello || h.type == FrameType::kWelcome;
  if (!is_handshake && payload_bytes > limits.part_bytes) {
    return Malformed("payload length", payload_bytes, "at most the session's part size");
  }
  const uint64_t expected = ExpectedPayloadBytes(h, limits);
  if (payload_bytes != expected) return Malformed("payload length", payload_bytes, "what type and counts give");
  return absl::OkStatus();
}

absl::Status LimitError(const char* field, uint64_t found, uint64_t most) {
  return absl::InvalidArgumentError(absl::StrCat("session limits: ", field, " is ", found, ", expected 1 to ", most));
}

}  // namespace

uint64_t WireRowBytes(DType dtype, uint32_t hidden_size) {
  const uint64_t elements = uint64_t{hidden_size} * static_cast<uint64_t>(DTypeBytes(dtype));
  return dtype == DType::kF8E4M3 ? elements + (uint64_t{hidden_size} + 127) / 128 * 4 : elements;
}

absl::Status CheckLimits(const FrameLimits& limits) {
  const struct { const char* field; uint64_t value, most; } ranges[] = {
      {"hidden size", limits.hidden_size, kHiddenMax}, {"layers", limits.layers, kLayersMax},
      {"experts", limits.experts, kExpertsMax},        {"rows per part", limits.rows_max, kRowsMax},
      {"pairs per part", limits.pairs_max, kPairsMax}, {"bytes per part", limits.part_bytes, kPartBytesMax}};
  for (const auto& range : ranges) {
    if (range.value == 0 || range.value > range.most) return LimitError(range.field, range.value, range.most);
  }
  const bool row_dtype = limits.row_dtype == DType::kBF16 || limits.row_dtype == DType::kF32 || limits.row_dtype == DType::kF8E4M3;
  const bool result_dtype = limits.result_dtype == DType::kBF16 || limits.result_dtype == DType::kF32;
  if (!row_dtype || !result_dtype) {
    return absl::InvalidArgumentError("session limits: rows are bfloat16, float32 or float8_e4m3, results bfloat16 or float32");
  }
  const uint64_t smallest = std::max(WireRowBytes(limits.row_dtype, limits.hidden_size) + kPairBytes,
                                     WireRowBytes(limits.result_dtype, limits.hidden_size));
  if (smallest > limits.part_bytes) return LimitError("bytes of one row", smallest, limits.part_bytes);
  return absl::OkStatus();
}

absl::Status CheckHeader(const FrameHeader& header, size_t payload_bytes, const FrameLimits& limits) {
  ATOLL_RETURN_IF_ERROR(CheckFields(header, limits));
  return CheckLength(header, payload_bytes, limits);
}

void EncodeHeader(const FrameHeader& h, const MacKey& key, std::span<std::byte, kHeaderBytes> out) {
  std::byte* bytes = out.data();
  StoreLittle(bytes + kMagic, kFrameMagic);
  StoreLittle(bytes + kVersion, kFrameVersion);
  StoreLittle(bytes + kHeaderLength, static_cast<uint16_t>(kHeaderBytes));
  StoreLittle(bytes + kType, h.type);
  StoreLittle(bytes + kDType, h.dtype);
  StoreLittle(bytes + kFlags, h.flags);
  StoreLittle(bytes + kDeadline, h.deadline_us);
  StoreLittle(bytes + kSession, h.session);
  StoreLittle(bytes + kIncarnation, h.incarnation);
  StoreLittle(bytes + kEpoch, h.epoch);
  StoreLittle(bytes + kStep, h.step);
  StoreLittle(bytes + kSequence, h.sequence);
  StoreLittle(bytes + kGranted, h.granted);
  StoreLittle(bytes + kLayer, h.layer);
  StoreLittle(bytes + kMicroBatch, h.micro_batch);
  StoreLittle(bytes + kPart, h.part);
  StoreLittle(bytes + kParts, h.parts);
  StoreLittle(bytes + kAttempt, h.attempt);
  StoreLittle(bytes + kRowCount, h.row_count);
  StoreLittle(bytes + kPairCount, h.pair_count);
  StoreLittle(bytes + kPayloadBytes, h.payload_bytes);
  std::copy(h.trace.begin(), h.trace.end(), bytes + kTrace);
  bytes[kReserved] = std::byte{0};
  StoreLittle(bytes + kCode, h.code);
  StoreLittle(bytes + kHeaderCheck, Crc32c(out.first(kHeaderCheck)));
  StoreLittle(bytes + kMac, Mac(out.first(kMac), key));
}

absl::StatusOr<FrameHeader> DecodeHeader(std::span<const std::byte> bytes, size_t payload_bytes, const FrameLimits& limits) {
  ATOLL_RETURN_IF_ERROR(CheckEnvelope(bytes));
  const FrameHeader header = Load(bytes.data());
  ATOLL_RETURN_IF_ERROR(CheckHeader(header, payload_bytes, limits));
  return header;
}

bool MacMatches(std::span<const std::byte> bytes, const MacKey& key) {
  return bytes.size() == kHeaderBytes && LoadLittle<uint64_t>(&bytes[kMac]) == Mac(bytes.first(kMac), key);
}

}  // namespace atoll::net
