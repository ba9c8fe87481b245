#include "model/checkpoint.h"

#include <algorithm>

#include "base/check.h"
#include "model/files/finite.h"
#include "model/files/refusal.h"

namespace atoll::model {
namespace {

// Read, checked and dropped in pieces, so that a piece is still in the cache when it is checked.
constexpr uint64_t kReadBytes = 4 << 20;
constexpr uint64_t kDroppedBytesMin = 1 << 20;
absl::Status NonFinite(const TensorSpec& spec, DType dtype, int64_t element) {
  return Refusal("tensor ", spec.name, ": element ", element, " is not a finite ", DTypeName(dtype));
}

float ElementToFloat(DType dtype, const std::byte* data, int64_t i) {
  if (dtype == DType::kBF16) return ToFloat(reinterpret_cast<const BFloat16*>(data)[i]);
  if (dtype == DType::kF8E8M0) return E8M0ToFloat(static_cast<uint8_t>(data[i]));
  return reinterpret_cast<const float*>(data)[i];
}

}  // namespace

const TensorEntry* Checkpoint::Find(std::string_view name) const {
  const int64_t at = catalogue_.IndexOf(name);
  return at < 0 || !entries_[at].present() ? nullptr : &entries_[at];
}

absl::StatusOr<const TensorEntry*> Checkpoint::Require(std::string_view name) const {
  if (const TensorEntry* entry = Find(name); entry != nullptr) return entry;
  return absl::NotFoundError(absl::StrCat(dir_, ": the checkpoint has no tensor ", std::string(name)));
}

absl::Status Checkpoint::ReadTensor(const TensorEntry& entry, std::span<std::byte> out) const {
  ATOLL_CHECK(entry.present() && out.size() == entry.bytes,
              "a read needs a present tensor and room for exactly its bytes");
  const VerifiedFile& file = files_[entry.file];
  for (uint64_t at = 0; at < entry.bytes; at += kReadBytes) {
    const std::span<std::byte> piece = out.subspan(at, std::min(kReadBytes, entry.bytes - at));
    ATOLL_RETURN_IF_ERROR(file.Read(entry.offset + at, piece));
    const int64_t bad = FindNonFinite(entry.dtype, piece);
    if (bad >= 0)
      return InFile(file.path(),
                    NonFinite(*entry.spec, entry.dtype, bad + static_cast<int64_t>(at) / DTypeBytes(entry.dtype)));
  }
  if (entry.bytes >= kDroppedBytesMin) file.DropPages(entry.offset, entry.bytes);
  return absl::OkStatus();
}

absl::StatusOr<HostMatrix> Checkpoint::ReadMatrix(std::string_view name) const {
  ATOLL_ASSIGN_OR_RETURN(const TensorEntry* entry, Require(name));
  const TensorSpec& spec = *entry->spec;
  if (spec.kind != TensorKind::kMatrix && spec.kind != TensorKind::kPlainMatrix)
    return Refusal("tensor ", spec.name, " is not a weight matrix");
  HostMatrix matrix{.dtype = entry->dtype,
                    .rows = spec.rows,
                    .cols = spec.cols,
                    .data = std::make_unique_for_overwrite<std::byte[]>(entry->bytes),
                    .scales = {}};
  ATOLL_RETURN_IF_ERROR(ReadTensor(*entry, {matrix.data.get(), entry->bytes}));
  if (matrix.dtype == DType::kF8E4M3) {
    ATOLL_ASSIGN_OR_RETURN(matrix.scales, ReadScales(name));
  }
  return matrix;
}

absl::StatusOr<std::vector<float>> Checkpoint::ReadVector(std::string_view name) const {
  ATOLL_ASSIGN_OR_RETURN(const TensorEntry* entry, Require(name));
  if (entry->spec->cols != 0) return Refusal("tensor ", entry->spec->name, " is not a vector");
  return ReadFloats(*entry);
}

absl::StatusOr<std::vector<float>> Checkpoint::ReadFloats(const TensorEntry& entry) const {
  const auto data = std::make_unique_for_overwrite<std::byte[]>(entry.bytes);
  ATOLL_RETURN_IF_ERROR(ReadTensor(entry, {data.get(), entry.bytes}));
  std::vector<float> values(entry.spec->elements());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = ElementToFloat(entry.dtype, data.get(), static_cast<int64_t>(i));
  return values;
}

absl::StatusOr<std::vector<float>> Checkpoint::ReadScales(std::string_view weight_name) const {
  ATOLL_ASSIGN_OR_RETURN(const TensorEntry* entry, Require(ScaleTensorName(weight_name)));
  ATOLL_ASSIGN_OR_RETURN(std::vector<float> scales, ReadFloats(*entry));
  for (size_t i = 0; i < scales.size(); ++i) {
    if (scales[i] > 0) continue;  // false for NaN too; infinity was refused on reading
    return InFile(files_[entry->file].path(),
                  Refusal("tensor ", entry->spec->name, ": expected positive scales, element ", i, " is ", scales[i]));
  }
  return scales;
}

}  // namespace atoll::model
