#pragma once

// The safetensors container: 8 bytes of little-endian header length, a JSON header, the tensors' bytes. Reads headers
// of files that nobody vouches for: the header's length is checked against file and cap before anything is allocated,
// and the tensors must cover the data exactly once.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"

namespace atoll::model {

// Every element type of the format; no model of ours uses most of them.
enum class StoredType : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kF64,
  kI64,
  kU64
};

const char* StoredTypeName(StoredType type);
int64_t StoredTypeBytes(StoredType type);
std::optional<DType> ToDType(StoredType type);
StoredType ToStoredType(DType dtype);

struct SafetensorsTensor {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<uint64_t> shape;
  uint64_t begin = 0;  // in the data, which follows the header
  uint64_t end = 0;
};

struct SafetensorsLimits {
  uint64_t header_bytes_max = 100'000'000;
  uint64_t tensors_max = 4'000'000;
};

constexpr uint64_t kSafetensorsPrefixBytes = 8;
constexpr size_t kSafetensorsRankMax = 8;

// The header's length from the file's first 8 bytes.
absl::StatusOr<uint64_t> ParseSafetensorsPrefix(std::span<const std::byte> prefix, uint64_t file_bytes,
                                                const SafetensorsLimits& limits);

// `header`: the JSON; `data_bytes`: what follows it in the file. Tensors come back in the order of their bytes.
absl::StatusOr<std::vector<SafetensorsTensor>> ParseSafetensorsHeader(std::string_view header, uint64_t data_bytes,
                                                                      const SafetensorsLimits& limits);

// Prefix and header of a file with these tensors, their bytes laid out in the given order (begin and end are ignored),
// padded with spaces to a multiple of 8.
std::string MakeSafetensorsHeader(std::span<const SafetensorsTensor> tensors);

// model.safetensors.index.json: pairs of tensor name and file name, in the file's order. File names must be plain names
// of files in the same folder.
struct SafetensorsIndexEntry {
  std::string tensor;
  std::string file;
};
absl::StatusOr<std::vector<SafetensorsIndexEntry>> ParseSafetensorsIndex(std::string_view json, uint64_t tensors_max);

}  // namespace atoll::model
