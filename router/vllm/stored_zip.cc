#include "router/vllm/stored_zip.h"

#include <array>
#include <cstdint>
#include <string_view>

#include "base/check.h"

namespace atoll::router {
namespace {

constexpr size_t kBytesMax = size_t{1} << 30;
constexpr uint16_t kVersion = 10;          // 1.0: nothing but stored files
constexpr uint16_t kFirstOfJanuary = 0x21;  // 1980, the format's earliest day

std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0u);
    table[i] = value;
  }
  return table;
}

uint32_t Crc32(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = MakeCrcTable();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = table[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

void Append16(uint16_t value, std::string& to) {
  to += static_cast<char>(value & 0xFF);
  to += static_cast<char>(value >> 8);
}

void Append32(uint32_t value, std::string& to) {
  Append16(static_cast<uint16_t>(value & 0xFFFF), to);
  Append16(static_cast<uint16_t>(value >> 16), to);
}

// What the header before an entry and its line in the directory have in common.
void AppendFacts(const ZipEntry& entry, std::string& to) {
  Append16(kVersion, to);
  Append16(0, to);  // flags
  Append16(0, to);  // stored
  Append16(0, to);  // midnight
  Append16(kFirstOfJanuary, to);
  Append32(Crc32(entry.bytes), to);
  Append32(static_cast<uint32_t>(entry.bytes.size()), to);  // as stored
  Append32(static_cast<uint32_t>(entry.bytes.size()), to);
  Append16(static_cast<uint16_t>(entry.name.size()), to);
  Append16(0, to);  // no extra field
}

void AppendDirectoryLine(const ZipEntry& entry, uint32_t offset, std::string& to) {
  to += "PK\x01\x02";
  Append16(kVersion, to);  // made by
  AppendFacts(entry, to);
  Append16(0, to);  // no comment
  Append16(0, to);  // disk
  Append16(0, to);  // internal attributes
  Append32(0, to);  // external attributes
  Append32(offset, to);
  to += entry.name;
}

}  // namespace

std::string StoredZip(const std::vector<ZipEntry>& entries) {
  std::string archive, directory;
  for (const ZipEntry& entry : entries) {
    ATOLL_CHECK(entry.bytes.size() < kBytesMax && archive.size() < kBytesMax - entry.bytes.size(), entry.name);
    AppendDirectoryLine(entry, static_cast<uint32_t>(archive.size()), directory);
    archive += "PK\x03\x04";
    AppendFacts(entry, archive);
    archive += entry.name;
    archive += entry.bytes;
  }
  const auto directory_offset = static_cast<uint32_t>(archive.size());
  archive += directory;
  archive += "PK\x05\x06";
  Append32(0, archive);  // disks
  Append16(static_cast<uint16_t>(entries.size()), archive);
  Append16(static_cast<uint16_t>(entries.size()), archive);
  Append32(static_cast<uint32_t>(directory.size()), archive);
  Append32(directory_offset, archive);
  Append16(0, archive);  // no comment
  return archive;
}

}  // namespace atoll::router
