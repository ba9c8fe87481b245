#include "net/wire_format.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "net/crc32c.h"
#include "net/little_endian.h"

namespace atoll::net {
namespace {

using Bytes = std::array<std::byte, kHeaderBytes>;

MacKey TestKey() {
  MacKey key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
  return key;
}

FrameLimits TestLimits() { return {.hidden_size = 64, .layers = 4, .experts = 8, .rows_max = 100, .pairs_max = 200}; }

FrameHeader TestHeader() {
  FrameHeader h;
  h.type = FrameType::kDispatch;
  h.dtype = DType::kBF16;
  h.flags = kFlagFromListener;
  h.deadline_us = 0x01020304;
  h.session = 0x1112131415161718;
  h.incarnation = 0x2122232425262728;
  h.epoch = 0x3132333435363738;
  h.step = 0x4142434445464748;
  h.sequence = 0x5152535455565758;
  h.granted = 0x6162636465666768;
  h.layer = 3;
  h.micro_batch = 1;
  h.part = 2;
  h.parts = 5;
  h.attempt = 7;
  h.row_count = 2;
  h.pair_count = 3;
  h.payload_bytes = 2 * 128 + 3 * 4;
  for (size_t i = 0; i < h.trace.size(); ++i) h.trace[i] = static_cast<std::byte>(0x80 + i);
  return h;
}

Bytes Encode(const FrameHeader& header) {
  Bytes bytes;
  EncodeHeader(header, TestKey(), bytes);
  return bytes;
}

// Changes bytes of a good header and makes its check right again.
Bytes Patched(size_t at, std::initializer_list<int> values) {
  Bytes bytes = Encode(TestHeader());
  for (int value : values) bytes[at++] = static_cast<std::byte>(value);
  StoreLittle(&bytes[116], Crc32c(std::span(bytes).first(116)));
  return bytes;
}

std::string Hex(std::span<const std::byte> bytes) {
  std::string hex;
  for (std::byte b : bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<int>(b) >> 4];
    hex += kDigits[static_cast<int>(b) & 15];
  }
  return hex;
}

TEST(WireFormat, BytesArePinned) {
  EXPECT_EQ(Hex(Encode(TestHeader())),
            "41544f4c" "0100" "8000" "03" "02" "0100" "04030201"
            "1817161514131211" "2827262524232221" "3837363534333231" "4847464544434241" "5857565554535251" "6867666564636261"
            "0300" "0100" "0200" "0500" "07000000" "02000000" "03000000" "0c010000"
            "808182838485868788898a8b8c8d8e8f909192939495969798" "00" "0000"
            "06d410a1" "0c0f89fba2e1fe9e");
}

TEST(WireFormat, RoundTrips) {
  const auto decoded = DecodeHeader(Encode(TestHeader()), TestHeader().payload_bytes, TestLimits());
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, TestHeader());
}

TEST(WireFormat, B55_RefusesEveryOtherLength) {
  std::vector<std::byte> bytes(300);
  const Bytes good = Encode(TestHeader());
  std::copy(good.begin(), good.end(), bytes.begin());
  for (size_t length = 0; length < bytes.size(); ++length) {
    const std::vector<std::byte> exact(bytes.begin(), bytes.begin() + static_cast<long>(length));
    EXPECT_EQ(DecodeHeader(exact, TestHeader().payload_bytes, TestLimits()).ok(), length == kHeaderBytes) << length;
    if (length != kHeaderBytes) {
      EXPECT_FALSE(MacMatches(exact, TestKey()));
    }
  }
}

TEST(WireFormat, EveryFlippedBitIsSeen) {
  const Bytes good = Encode(TestHeader());
  ASSERT_TRUE(MacMatches(good, TestKey()));
  for (size_t bit = 0; bit < kHeaderBytes * 8; ++bit) {
    Bytes bytes = good;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_FALSE(MacMatches(bytes, TestKey())) << bit;
    if (bit < 120 * 8) {
      EXPECT_FALSE(DecodeHeader(bytes, TestHeader().payload_bytes, TestLimits()).ok()) << bit;
    }
  }
  MacKey other = TestKey();
  other[0] = std::byte{1};
  EXPECT_FALSE(MacMatches(good, other));
}

// B54: magic, version, type, flags. B55: header length. B56: counts whose product overflows, another payload length. B57: dtype,
// layer, part, code.
TEST(WireFormat, B54_B55_B56_B57_HostileFieldsAreRefusedByName) {
  const struct {
    const char* name;
    Bytes bytes;
  } rows[] = {
      {"magic", Patched(0, {0x47, 0x45, 0x54, 0x20})},
      {"version", Patched(4, {2, 0})},
      {"header length", Patched(6, {0x7F, 0})},
      {"header length", Patched(6, {0, 0xFF})},
      {"type", Patched(8, {0})},
      {"type", Patched(8, {11})},
      {"dtype", Patched(9, {1})},
      {"dtype", Patched(9, {0xFF})},
      {"flags", Patched(10, {3, 0})},
      {"flags", Patched(10, {0, 0x80})},
      {"session", Patched(16, {0, 0, 0, 0, 0, 0, 0, 0})},
      {"layer", Patched(64, {4, 0})},
      {"layer", Patched(64, {0xFF, 0xFF})},
      {"part", Patched(68, {5, 0})},
      {"part", Patched(70, {0, 0})},
      {"row count", Patched(76, {101, 0, 0, 0})},
      {"row count", Patched(76, {0xFF, 0xFF, 0xFF, 0xFF})},
      {"row count", Patched(76, {0x00, 0x00, 0x00, 0x02})},  // times 128 overflows 32 bits
      {"pair count", Patched(80, {0xFF, 0xFF, 0xFF, 0xFF})},
      {"pair count", Patched(80, {201, 0, 0, 0})},
      {"row or pair count", Patched(76, {0, 0, 0, 0})},
      {"payload length", Patched(76, {3, 0, 0, 0})},
      {"payload length", Patched(84, {0x0D, 1, 0, 0})},
      {"payload length", Patched(84, {0xFF, 0xFF, 0xFF, 0xFF})},
      {"reserved byte", Patched(113, {1})},
      {"code", Patched(114, {1, 0})},
  };
  for (const auto& row : rows) {
    const auto decoded = DecodeHeader(row.bytes, TestHeader().payload_bytes, TestLimits());
    ASSERT_FALSE(decoded.ok()) << row.name;
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(decoded.status().message()).find(std::string(row.name) + " is"), std::string::npos) << decoded.status();
  }
}

TEST(WireFormat, B56_PayloadLengthIsComputedPerType) {
  const FrameLimits limits = TestLimits();
  const struct {
    FrameType type;
    uint32_t pairs;
    uint16_t code;
    uint32_t payload_bytes;
    bool ok;
  } rows[] = {
      {FrameType::kResult, 3, 0, 3 * 128, true},   {FrameType::kResult, 3, 0, 3 * 128 + 1, false},
      {FrameType::kResult, 3, 13, 0, true},        {FrameType::kResult, 3, 13, 3 * 128, false},
      {FrameType::kResult, 3, 17, 0, false},       {FrameType::kRefuse, 0, 2, 0, true},
      {FrameType::kRefuse, 0, 0, 0, false},        {FrameType::kRefuse, 0, 7, 0, false},
      {FrameType::kRefuse, 1, 2, 0, false},        {FrameType::kCancel, 0, 0, 0, true},
      {FrameType::kHeartbeat, 0, 0, 0, true},      {FrameType::kHeartbeat, 0, 0, 1, false},
      {FrameType::kPage, 0, 0, kPartBytesMax, true}, {FrameType::kPage, 0, 0, kPartBytesMax + 1, false},
      {FrameType::kWeights, 0, 0, 0, true},        {FrameType::kHello, 0, 0, 64, true},
      {FrameType::kHello, 0, 0, 63, false},        {FrameType::kWelcome, 0, 0, 65, false},
  };
  for (const auto& row : rows) {
    FrameHeader h;
    h.type = row.type;
    h.session = 1;
    h.dtype = row.type == FrameType::kResult ? limits.result_dtype : DType{};
    h.pair_count = row.pairs;
    h.code = row.code;
    h.payload_bytes = row.payload_bytes;
    EXPECT_EQ(DecodeHeader(Encode(h), row.payload_bytes, limits).ok(), row.ok)
        << static_cast<int>(row.type) << " " << row.payload_bytes << " code " << row.code;
  }
}

TEST(WireFormat, Fp8RowsCarryScales) {
  EXPECT_EQ(WireRowBytes(DType::kF8E4M3, 7168), 7168u + 56 * 4);
  EXPECT_EQ(WireRowBytes(DType::kF8E4M3, 129), 129u + 2 * 4);
  EXPECT_EQ(WireRowBytes(DType::kF32, 7168), 28672u);
  EXPECT_EQ(WireRowBytes(DType::kF32, 0xFFFFFFFF), 4u * 0xFFFFFFFFull);
}

TEST(WireFormat, LimitsAreChecked) {
  EXPECT_TRUE(CheckLimits(TestLimits()).ok());
  const std::function<void(FrameLimits&)> breaks[] = {
      [](FrameLimits& l) { l.hidden_size = 0; },          [](FrameLimits& l) { l.hidden_size = 0xFFFFFFFF; },
      [](FrameLimits& l) { l.hidden_size = 200000; },     [](FrameLimits& l) { l.layers = 0; },
      [](FrameLimits& l) { l.experts = 65537; },          [](FrameLimits& l) { l.rows_max = 65536; },
      [](FrameLimits& l) { l.pairs_max = 0; },            [](FrameLimits& l) { l.part_bytes = kPartBytesMax + 1; },
      [](FrameLimits& l) { l.part_bytes = 131; },         [](FrameLimits& l) { l.row_dtype = DType::kI32; },
      [](FrameLimits& l) { l.result_dtype = DType::kF8E4M3; }};
  for (const auto& break_it : breaks) {
    FrameLimits limits = TestLimits();
    break_it(limits);
    EXPECT_FALSE(CheckLimits(limits).ok());
  }
}

}  // namespace
}  // namespace atoll::net
