#include "model/files/safetensors.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "model/files/json_reader.h"
#include "model/files/refusal.h"

namespace atoll::model {
namespace {

struct TypeInfo {
  StoredType type;
  std::string_view name;
  int64_t bytes;
};

constexpr TypeInfo kTypes[] = {
    {StoredType::kBool, "BOOL", 1},      {StoredType::kU8, "U8", 1},          {StoredType::kI8, "I8", 1},
    {StoredType::kF8E5M2, "F8_E5M2", 1}, {StoredType::kF8E4M3, "F8_E4M3", 1}, {StoredType::kF8E8M0, "F8_E8M0", 1},
    {StoredType::kI16, "I16", 2},        {StoredType::kU16, "U16", 2},        {StoredType::kF16, "F16", 2},
    {StoredType::kBF16, "BF16", 2},      {StoredType::kI32, "I32", 4},        {StoredType::kU32, "U32", 4},
    {StoredType::kF32, "F32", 4},        {StoredType::kF64, "F64", 8},        {StoredType::kI64, "I64", 8},
    {StoredType::kU64, "U64", 8},
};

const TypeInfo& Info(StoredType type) { return kTypes[static_cast<size_t>(type)]; }

// Text of a file in a message: one line, of bounded length.
std::string Shown(std::string_view text) { return absl::Utf8SafeCEscape(std::string(text.substr(0, 200))); }

absl::Status Wrong(std::string_view tensor, const std::string& what) {
  return Refusal("tensor \"", Shown(tensor), "\": ", what);
}

// Reads one header. Members of a tensor may come in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view header, const SafetensorsLimits& limits) : reader_(header), limits_(limits) {}

  absl::StatusOr<std::vector<SafetensorsTensor>> Parse() {
    ATOLL_RETURN_IF_ERROR(reader_.TakeObject([this](const std::string& name) { return Entry(name); }));
    ATOLL_RETURN_IF_ERROR(reader_.TakeEnd());
    return std::move(tensors_);
  }

 private:
  absl::Status Entry(const std::string& name) {
    if (name == "__metadata__") {
      return reader_.TakeObject([this](const std::string&) { return reader_.TakeString().status(); });
    }
    if (name.empty()) return absl::InvalidArgumentError("a tensor has an empty name");
    if (tensors_.size() >= limits_.tensors_max) {
      return Refusal("expected at most ", limits_.tensors_max, " tensors, found more");
    }
    SafetensorsTensor& tensor = tensors_.emplace_back();
    tensor.name = name;
    has_type_ = has_shape_ = has_offsets_ = false;
    const absl::Status status = reader_.TakeObject([&](const std::string& key) { return Field(key, tensor); });
    if (!status.ok()) return Wrong(name, std::string(status.message()));
    if (!has_type_ || !has_shape_ || !has_offsets_)
      return Wrong(name, "expected dtype, shape and data_offsets, found fewer");
    return absl::OkStatus();
  }

  absl::Status Field(const std::string& key, SafetensorsTensor& tensor) {
    if (key == "dtype") return Type(tensor);
    if (key == "shape") return Shape(tensor);
    if (key == "data_offsets") return Offsets(tensor);
    return Refusal("expected dtype, shape and data_offsets, found \"", Shown(key), "\"");
  }

  absl::Status Type(SafetensorsTensor& tensor) {
    ATOLL_ASSIGN_OR_RETURN(const std::string name, reader_.TakeString());
    const auto* at =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeInfo& info) { return info.name == name; });
    if (at == std::end(kTypes)) return Refusal("unknown dtype \"", Shown(name), "\"");
    tensor.type = at->type;
    has_type_ = true;
    return absl::OkStatus();
  }

  absl::Status Shape(SafetensorsTensor& tensor) {
    has_shape_ = true;
    ATOLL_RETURN_IF_ERROR(reader_.Take('['));
    if (reader_.TryTake(']')) return absl::OkStatus();
    do {
      if (tensor.shape.size() == kSafetensorsRankMax)
        return Refusal("expected at most ", kSafetensorsRankMax, " dimensions, found more");
      ATOLL_ASSIGN_OR_RETURN(const uint64_t size, reader_.TakeUnsigned());
      tensor.shape.push_back(size);
    } while (reader_.TryTake(','));
    return reader_.Take(']');
  }

  absl::Status Offsets(SafetensorsTensor& tensor) {
    has_offsets_ = true;
    ATOLL_RETURN_IF_ERROR(reader_.Take('['));
    ATOLL_ASSIGN_OR_RETURN(tensor.begin, reader_.TakeUnsigned());
    ATOLL_RETURN_IF_ERROR(reader_.Take(','));
    ATOLL_ASSIGN_OR_RETURN(tensor.end, reader_.TakeUnsigned());
    return reader_.Take(']');
  }

  JsonReader reader_;
  const SafetensorsLimits& limits_;
  std::vector<SafetensorsTensor> tensors_;
  bool has_type_ = false, has_shape_ = false, has_offsets_ = false;
};

// Bytes that shape and type ask for; nothing when the product leaves 64 bits.
std::optional<uint64_t> BytesOf(const SafetensorsTensor& tensor) {
  uint64_t bytes = static_cast<uint64_t>(StoredTypeBytes(tensor.type));
  for (uint64_t size : tensor.shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  }
  return bytes;
}

absl::Status CheckRange(const SafetensorsTensor& tensor, uint64_t data_bytes) {
  if (tensor.begin > tensor.end || tensor.end > data_bytes) {
    return Wrong(tensor.name, absl::StrCat("expected data_offsets inside the ", data_bytes, " bytes of data, found [",
                                           tensor.begin, ", ", tensor.end, "]"));
  }
  const std::optional<uint64_t> bytes = BytesOf(tensor);
  if (!bytes) return Wrong(tensor.name, "the product of its shape exceeds 64 bits");
  if (*bytes != tensor.end - tensor.begin) {
    return Wrong(tensor.name, absl::StrCat("shape and dtype ask for ", *bytes, " bytes, data_offsets give ",
                                           tensor.end - tensor.begin));
  }
  return absl::OkStatus();
}

// Sorted by begin, each tensor starts where the one before ended.
absl::Status CheckCover(const std::vector<SafetensorsTensor>& tensors, uint64_t data_bytes) {
  uint64_t covered = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    if (tensor.begin != covered) {
      return Wrong(tensor.name,
                   absl::StrCat(tensor.begin < covered ? "overlaps the tensor before it" : "leaves a hole before it",
                                ": expected to begin at ", covered, ", found ", tensor.begin));
    }
    covered = tensor.end;
  }
  if (covered == data_bytes) return absl::OkStatus();
  return Refusal("the tensors cover ", covered, " of ", data_bytes, " bytes of data");
}

absl::Status CheckFileName(const std::string& name) {
  constexpr std::string_view kSuffix = ".safetensors";
  const bool plain = name.size() > kSuffix.size() && name.size() <= 255 && name.ends_with(kSuffix) && name[0] != '.' &&
                     name.find('/') == std::string::npos && name.find('\\') == std::string::npos &&
                     name.find('\0') == std::string::npos;
  if (plain) return absl::OkStatus();
  return Refusal("expected the name of a .safetensors file in the same folder, found \"", Shown(name), "\"");
}

void AppendJsonString(const std::string& text, std::string& out) {
  out += '"';
  for (char c : text) {
    if (static_cast<uint8_t>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned>(c));
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace

const char* StoredTypeName(StoredType type) { return Info(type).name.data(); }
int64_t StoredTypeBytes(StoredType type) { return Info(type).bytes; }

std::optional<DType> ToDType(StoredType type) {
  switch (type) {
    case StoredType::kF32: return DType::kF32;
    case StoredType::kBF16: return DType::kBF16;
    case StoredType::kF8E4M3: return DType::kF8E4M3;
    case StoredType::kF8E8M0: return DType::kF8E8M0;
    case StoredType::kI32: return DType::kI32;
    default: return std::nullopt;
  }
}

StoredType ToStoredType(DType dtype) {
  switch (dtype) {
    case DType::kF32: return StoredType::kF32;
    case DType::kBF16: return StoredType::kBF16;
    case DType::kF8E4M3: return StoredType::kF8E4M3;
    case DType::kF8E8M0: return StoredType::kF8E8M0;
    case DType::kI32: break;
  }
  return StoredType::kI32;
}

absl::StatusOr<uint64_t> ParseSafetensorsPrefix(std::span<const std::byte> prefix, uint64_t file_bytes,
                                                const SafetensorsLimits& limits) {
  if (prefix.size() < kSafetensorsPrefixBytes || file_bytes < kSafetensorsPrefixBytes) {
    return Refusal("expected at least ", kSafetensorsPrefixBytes, " bytes, found ", file_bytes);
  }
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<uint64_t>(prefix[i]);
  if (length < 2 || length > file_bytes - kSafetensorsPrefixBytes) {
    return Refusal("expected a header of 2 to ", file_bytes - kSafetensorsPrefixBytes, " bytes, found the length ",
                   length);
  }
  if (length > limits.header_bytes_max) {
    return Refusal("expected a header of at most ", limits.header_bytes_max, " bytes for this model, found ", length);
  }
  return length;
}

absl::StatusOr<std::vector<SafetensorsTensor>> ParseSafetensorsHeader(std::string_view header, uint64_t data_bytes,
                                                                      const SafetensorsLimits& limits) {
  if (header.empty() || header[0] != '{') return absl::InvalidArgumentError("expected the header to begin with '{'");
  ATOLL_ASSIGN_OR_RETURN(std::vector<SafetensorsTensor> tensors, HeaderParser(header, limits).Parse());
  for (const SafetensorsTensor& tensor : tensors) ATOLL_RETURN_IF_ERROR(CheckRange(tensor, data_bytes));
  // By end too, so that an empty tensor comes before the one that begins where it lies.
  std::stable_sort(tensors.begin(), tensors.end(), [](const SafetensorsTensor& a, const SafetensorsTensor& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  ATOLL_RETURN_IF_ERROR(CheckCover(tensors, data_bytes));
  return tensors;
}

std::string MakeSafetensorsHeader(std::span<const SafetensorsTensor> tensors) {
  std::string json = "{\"__metadata__\":{\"format\":\"pt\"}";
  uint64_t begin = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    json += ',';
    AppendJsonString(tensor.name, json);
    const uint64_t end = begin + BytesOf(tensor).value_or(0);
    absl::StrAppend(&json, ":{\"dtype\":\"", StoredTypeName(tensor.type), "\",\"shape\":[");
    for (size_t i = 0; i < tensor.shape.size(); ++i) absl::StrAppend(&json, i == 0 ? "" : ",", tensor.shape[i]);
    absl::StrAppend(&json, "],\"data_offsets\":[", begin, ",", end, "]}");
    begin = end;
  }
  json += '}';
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string prefix;
  for (int i = 0; i < 8; ++i) prefix += static_cast<char>(static_cast<uint64_t>(json.size()) >> (8 * i));
  return prefix + json;
}

absl::StatusOr<std::vector<SafetensorsIndexEntry>> ParseSafetensorsIndex(std::string_view json, uint64_t tensors_max) {
  JsonReader reader(json);
  std::vector<SafetensorsIndexEntry> entries;
  const auto weight = [&](const std::string& tensor) -> absl::Status {
    if (entries.size() >= tensors_max) return Refusal("expected at most ", tensors_max, " tensors, found more");
    ATOLL_ASSIGN_OR_RETURN(std::string file, reader.TakeString());
    ATOLL_RETURN_IF_ERROR(CheckFileName(file));
    entries.push_back({tensor, std::move(file)});
    return absl::OkStatus();
  };
  const auto member = [&](const std::string& key) {
    return key == "weight_map" ? reader.TakeObject(weight) : reader.SkipValue(/*depth_max=*/8);
  };
  ATOLL_RETURN_IF_ERROR(reader.TakeObject(member));
  ATOLL_RETURN_IF_ERROR(reader.TakeEnd());
  if (entries.empty()) return absl::InvalidArgumentError("expected a weight_map with tensors, found none");
  return entries;
}

}  // namespace atoll::model
