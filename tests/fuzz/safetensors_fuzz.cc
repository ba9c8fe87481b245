// Any bytes as a safetensors file and as a shard index: refused or accepted, never worse; what is accepted covers its
// data exactly once and survives being written again.

#include <cstdint>
#include <span>
#include <string_view>

#include "base/check.h"
#include "model/files/safetensors.h"

namespace {

using atoll::model::SafetensorsLimits;

constexpr SafetensorsLimits kLimits = {.header_bytes_max = 1 << 16, .tensors_max = 1000};

void FuzzFile(std::span<const std::byte> file) {
  const auto length =
      atoll::model::ParseSafetensorsPrefix(file.first(file.size() < 8 ? file.size() : 8), file.size(), kLimits);
  if (!length.ok()) return;
  ATOLL_CHECK(*length <= file.size() - 8, "the header is inside the file");
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + 8, *length);
  const uint64_t data_bytes = file.size() - 8 - *length;
  const auto tensors = atoll::model::ParseSafetensorsHeader(header, data_bytes, kLimits);
  if (!tensors.ok()) return;
  uint64_t covered = 0;
  for (const auto& tensor : *tensors) {
    ATOLL_CHECK(tensor.begin == covered && tensor.end >= tensor.begin, "no hole and no overlap");
    covered = tensor.end;
  }
  ATOLL_CHECK(covered == data_bytes, "all data is covered");
  const std::string again = atoll::model::MakeSafetensorsHeader(*tensors);
  const auto second = atoll::model::ParseSafetensorsHeader(std::string_view(again).substr(8), data_bytes, {});
  ATOLL_CHECK(second.ok() && second->size() == tensors->size(), "what was accepted can be written and read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzFile(std::as_bytes(std::span(data, size)));
  (void)atoll::model::ParseSafetensorsIndex(std::string_view(reinterpret_cast<const char*>(data), size), 1000);
  return 0;
}
