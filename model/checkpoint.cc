#include "model/checkpoint.h"

#include <algorithm>
#include <unordered_map>

#include "base/check.h"

#include "model/files/finite.h"
#include "model/files/fingerprint.h"

namespace atoll::model {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr size_t kFilesMax = 512;
// Read, checked and dropped in pieces, so that a piece is still in the cache when it is checked.
constexpr uint64_t kReadBytes = 4 << 20;
constexpr uint64_t kDroppedBytesMin = 1 << 20;
// A released header has about 190 bytes per tensor.
constexpr uint64_t kHeaderBytesPerTensor = 512;
constexpr uint64_t kHeaderBytesSpare = 64 << 10;
constexpr uint64_t kSkippedTensorsMax = 1024;
constexpr uint64_t kDuplicateSamples = 64;
constexpr uint64_t kDuplicateSampleBytes = 256;

SafetensorsLimits LimitsFor(const TensorCatalogue& catalogue) {
  const uint64_t tensors = catalogue.specs().size() + kSkippedTensorsMax;
  const SafetensorsLimits widest;
  return {.header_bytes_max = std::min(widest.header_bytes_max, tensors * kHeaderBytesPerTensor + kHeaderBytesSpare), .tensors_max = tensors};
}

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

std::string ShapeText(std::span<const uint64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) absl::StrAppend(&text, i == 0 ? "" : ", ", shape[i]);
  return text + "]";
}

std::vector<uint64_t> ExpectedShape(const TensorSpec& spec) {
  if (spec.cols == 0) return {static_cast<uint64_t>(spec.rows)};
  return {static_cast<uint64_t>(spec.rows), static_cast<uint64_t>(spec.cols)};
}

bool Accepts(const TensorSpec& spec, StoredType type) {
  switch (spec.kind) {
    case TensorKind::kMatrix:
    case TensorKind::kPlainMatrix: return type == ToStoredType(spec.dtype);
    case TensorKind::kNorm:
    case TensorKind::kCorrectionBias: return type == StoredType::kBF16 || type == StoredType::kF32;
    case TensorKind::kScale: return type == StoredType::kF32 || type == StoredType::kF8E8M0;
  }
  return false;
}

absl::Status CheckAgainst(const TensorSpec& spec, const SafetensorsTensor& tensor) {
  if (tensor.shape != ExpectedShape(spec)) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", spec.name, ": expected the shape ", ShapeText(ExpectedShape(spec)), ", found ", ShapeText(tensor.shape)));
  }
  if (Accepts(spec, tensor.type)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("tensor ", spec.name, ": expected the dtype ", StoredTypeName(ToStoredType(spec.dtype)), ", found ", StoredTypeName(tensor.type)));
}

absl::StatusOr<std::string> ReadHeader(const VerifiedFile& file, const SafetensorsLimits& limits) {
  std::byte prefix[kSafetensorsPrefixBytes] = {};
  if (file.size() >= sizeof(prefix)) ATOLL_RETURN_IF_ERROR(file.Read(0, prefix));
  ATOLL_ASSIGN_OR_RETURN(const uint64_t length, ParseSafetensorsPrefix(prefix, file.size(), limits));
  std::string header(length, '\0');
  ATOLL_RETURN_IF_ERROR(file.Read(kSafetensorsPrefixBytes, std::as_writable_bytes(std::span(header.data(), header.size()))));
  return header;
}

absl::Status NonFinite(const TensorSpec& spec, DType dtype, int64_t element) {
  return absl::InvalidArgumentError(absl::StrCat("tensor ", spec.name, ": element ", element, " is not a finite ", DTypeName(dtype)));
}

float ElementToFloat(DType dtype, const std::byte* data, int64_t i) {
  if (dtype == DType::kBF16) return ToFloat(reinterpret_cast<const BFloat16*>(data)[i]);
  if (dtype == DType::kF8E8M0) return E8M0ToFloat(static_cast<uint8_t>(data[i]));
  return reinterpret_cast<const float*>(data)[i];
}

}  // namespace

Checkpoint::Checkpoint(std::string dir, ModelConfig config) : dir_(std::move(dir)), config_(std::move(config)), catalogue_(config_) {
  for (const TensorSpec& spec : catalogue_.specs()) entries_.push_back({.spec = &spec});
}

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& dir) {
  ATOLL_ASSIGN_OR_RETURN(ModelConfig config, LoadModelConfig(dir));
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint(dir, std::move(config)));
  ATOLL_ASSIGN_OR_RETURN(checkpoint->generation_, LoadGenerationConfig(dir));
  ATOLL_RETURN_IF_ERROR(checkpoint->OpenFiles());
  ATOLL_RETURN_IF_ERROR(checkpoint->CheckComplete());
  ATOLL_RETURN_IF_ERROR(checkpoint->CheckDuplicates());
  ATOLL_ASSIGN_OR_RETURN(checkpoint->fingerprint_, checkpoint->ComputeFingerprint());
  return checkpoint;
}

absl::Status Checkpoint::OpenFiles() {
  const bool has_index = VerifiedFile::Exists(dir_, kIndexFile);
  const bool has_single = VerifiedFile::Exists(dir_, kSingleFile);
  if (has_index && has_single) return absl::InvalidArgumentError(absl::StrCat(dir_, ": expected either ", kSingleFile, " or ", kIndexFile, ", found both: remove one"));
  if (!has_index && !has_single) return absl::NotFoundError(absl::StrCat(dir_, ": expected ", kSingleFile, " or ", kIndexFile, ", found neither"));
  return has_index ? OpenShards() : AddFile(kSingleFile);
}

absl::Status Checkpoint::OpenShards() {
  const SafetensorsLimits limits = LimitsFor(catalogue_);
  ATOLL_ASSIGN_OR_RETURN(const std::string json, ReadSmallFile(dir_, kIndexFile, limits.header_bytes_max));
  const auto index = ParseSafetensorsIndex(json, limits.tensors_max);
  const std::string index_path = absl::StrCat(dir_, "/", kIndexFile);
  if (!index.ok()) return InFile(index_path, index.status());
  std::unordered_map<std::string, int32_t> files;
  for (const SafetensorsIndexEntry& entry : *index) {
    if (files.contains(entry.file)) continue;
    if (files.size() == kFilesMax) return InFile(index_path, absl::InvalidArgumentError(absl::StrCat("expected at most ", kFilesMax, " files, found more")));
    files.emplace(entry.file, static_cast<int32_t>(files_.size()));
    ATOLL_RETURN_IF_ERROR(AddFile(entry.file));
  }
  for (const SafetensorsIndexEntry& entry : *index) {
    const int64_t at = catalogue_.IndexOf(entry.tensor);
    if (at < 0 || entries_[at].file == files.at(entry.file)) continue;
    return InFile(index_path, absl::InvalidArgumentError(absl::StrCat("expected tensor ", entry.tensor, " in ", entry.file, ", it is not there")));
  }
  return absl::OkStatus();
}

absl::Status Checkpoint::AddFile(const std::string& name) {
  const SafetensorsLimits limits = LimitsFor(catalogue_);
  ATOLL_ASSIGN_OR_RETURN(VerifiedFile file, VerifiedFile::Open(dir_, name));
  const auto header = ReadHeader(file, limits);
  if (!header.ok()) return InFile(file.path(), header.status());
  const uint64_t data_offset = kSafetensorsPrefixBytes + header->size();
  const auto tensors = ParseSafetensorsHeader(*header, file.size() - data_offset, limits);
  if (!tensors.ok()) return InFile(file.path(), tensors.status());
  const auto index = static_cast<int32_t>(files_.size());
  for (const SafetensorsTensor& tensor : *tensors) {
    if (absl::Status status = AddTensor(index, data_offset, tensor); !status.ok()) return InFile(file.path(), status);
  }
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

absl::Status Checkpoint::AddTensor(int32_t file, uint64_t data_offset, const SafetensorsTensor& tensor) {
  const int64_t at = catalogue_.IndexOf(tensor.name);
  if (at < 0 && IsSkippedTensorName(tensor.name)) return absl::OkStatus();
  if (at < 0) return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name.substr(0, 200), " does not belong to the model that config.json describes"));
  TensorEntry& entry = entries_[at];
  if (entry.present()) return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name, " is in two files, the other is ", files_[entry.file].path()));
  ATOLL_RETURN_IF_ERROR(CheckAgainst(*entry.spec, tensor));
  entry.dtype = *ToDType(tensor.type);
  entry.file = file;
  entry.offset = data_offset + tensor.begin;
  entry.bytes = tensor.end - tensor.begin;
  return absl::OkStatus();
}

absl::Status Checkpoint::CheckComplete() {
  has_mtp_ = std::any_of(entries_.begin(), entries_.end(), [](const TensorEntry& entry) { return entry.spec->mtp && entry.present(); });
  for (const TensorEntry& entry : entries_) {
    const bool optional = !entry.spec->duplicate_of.empty() || (entry.spec->mtp && !has_mtp_);
    if (entry.present() || optional) continue;
    return absl::InvalidArgumentError(absl::StrCat(dir_, ": tensor ", entry.spec->name, " ", ShapeText(ExpectedShape(*entry.spec)), " is missing"));
  }
  return absl::OkStatus();
}

// Samples only: the released copies are 1.85 GB each. A copy with other values means a model that this program would
// compute wrongly, since it loads the main tensor for both.
absl::Status Checkpoint::CheckDuplicates() const {
  for (const TensorEntry& copy : entries_) {
    if (copy.spec->duplicate_of.empty() || !copy.present()) continue;
    const TensorEntry& main = *Find(copy.spec->duplicate_of);
    const uint64_t sample = std::min(kDuplicateSampleBytes, copy.bytes);
    std::vector<std::byte> a(sample), b(sample);
    for (uint64_t i = 0; i < kDuplicateSamples; ++i) {
      const uint64_t at = (copy.bytes - sample) / (kDuplicateSamples - 1) * i;
      ATOLL_RETURN_IF_ERROR(files_[copy.file].Read(copy.offset + at, a));
      ATOLL_RETURN_IF_ERROR(files_[main.file].Read(main.offset + at, b));
      if (a != b) return absl::InvalidArgumentError(absl::StrCat(dir_, ": tensor ", copy.spec->name, " must equal ", copy.spec->duplicate_of, ", it differs (own embeddings or heads are not supported)"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Checkpoint::ComputeFingerprint() const {
  Fingerprint fingerprint;
  fingerprint.AddConfig(config_);
  const auto present = std::count_if(entries_.begin(), entries_.end(), [](const TensorEntry& entry) { return entry.present(); });
  for (const TensorEntry& entry : entries_) {
    if (!entry.present() || !entry.spec->duplicate_of.empty()) continue;
    fingerprint.AddTensor(*entry.spec, entry.dtype);
    if (!Fingerprint::IsSampled(entry.spec->name, present)) continue;
    std::byte sample[Fingerprint::kSampleBytes];
    const uint64_t bytes = std::min<uint64_t>(sizeof(sample), entry.bytes);
    ATOLL_RETURN_IF_ERROR(files_[entry.file].Read(entry.offset + (entry.bytes - bytes) / 2, std::span(sample, bytes)));
    fingerprint.AddBytes(std::span(sample, bytes));
  }
  return fingerprint.value();
}

const TensorEntry* Checkpoint::Find(std::string_view name) const {
  const int64_t at = catalogue_.IndexOf(name);
  return at < 0 || !entries_[at].present() ? nullptr : &entries_[at];
}

absl::StatusOr<const TensorEntry*> Checkpoint::Require(std::string_view name) const {
  if (const TensorEntry* entry = Find(name); entry != nullptr) return entry;
  return absl::NotFoundError(absl::StrCat(dir_, ": the checkpoint has no tensor ", std::string(name)));
}

absl::Status Checkpoint::ReadTensor(const TensorEntry& entry, std::span<std::byte> out) const {
  ATOLL_CHECK(entry.present() && out.size() == entry.bytes, "a read needs a present tensor and room for exactly its bytes");
  const VerifiedFile& file = files_[entry.file];
  for (uint64_t at = 0; at < entry.bytes; at += kReadBytes) {
    const std::span<std::byte> piece = out.subspan(at, std::min(kReadBytes, entry.bytes - at));
    ATOLL_RETURN_IF_ERROR(file.Read(entry.offset + at, piece));
    const int64_t bad = FindNonFinite(entry.dtype, piece);
    if (bad >= 0) return InFile(file.path(), NonFinite(*entry.spec, entry.dtype, bad + static_cast<int64_t>(at) / DTypeBytes(entry.dtype)));
  }
  if (entry.bytes >= kDroppedBytesMin) file.DropPages(entry.offset, entry.bytes);
  return absl::OkStatus();
}

absl::StatusOr<HostMatrix> Checkpoint::ReadMatrix(std::string_view name) const {
  ATOLL_ASSIGN_OR_RETURN(const TensorEntry* entry, Require(name));
  const TensorSpec& spec = *entry->spec;
  if (spec.kind != TensorKind::kMatrix && spec.kind != TensorKind::kPlainMatrix) return absl::InvalidArgumentError(absl::StrCat("tensor ", spec.name, " is not a weight matrix"));
  HostMatrix matrix{.dtype = entry->dtype, .rows = spec.rows, .cols = spec.cols, .data = std::make_unique_for_overwrite<std::byte[]>(entry->bytes), .scales = {}};
  ATOLL_RETURN_IF_ERROR(ReadTensor(*entry, {matrix.data.get(), entry->bytes}));
  if (matrix.dtype == DType::kF8E4M3) {
    ATOLL_ASSIGN_OR_RETURN(matrix.scales, ReadScales(name));
  }
  return matrix;
}

absl::StatusOr<std::vector<float>> Checkpoint::ReadVector(std::string_view name) const {
  ATOLL_ASSIGN_OR_RETURN(const TensorEntry* entry, Require(name));
  if (entry->spec->cols != 0) return absl::InvalidArgumentError(absl::StrCat("tensor ", entry->spec->name, " is not a vector"));
  return ReadFloats(*entry);
}

absl::StatusOr<std::vector<float>> Checkpoint::ReadFloats(const TensorEntry& entry) const {
  const auto data = std::make_unique_for_overwrite<std::byte[]>(entry.bytes);
  ATOLL_RETURN_IF_ERROR(ReadTensor(entry, {data.get(), entry.bytes}));
  std::vector<float> values(entry.spec->elements());
  for (size_t i = 0; i < values.size(); ++i) values[i] = ElementToFloat(entry.dtype, data.get(), static_cast<int64_t>(i));
  return values;
}

absl::StatusOr<std::vector<float>> Checkpoint::ReadScales(std::string_view weight_name) const {
  ATOLL_ASSIGN_OR_RETURN(const TensorEntry* entry, Require(ScaleTensorName(weight_name)));
  ATOLL_ASSIGN_OR_RETURN(std::vector<float> scales, ReadFloats(*entry));
  for (size_t i = 0; i < scales.size(); ++i) {
    if (scales[i] > 0) continue;  // false for NaN too; infinity was refused on reading
    return InFile(files_[entry->file].path(), absl::InvalidArgumentError(absl::StrCat("tensor ", entry->spec->name, ": expected positive scales, element ", i, " is ", scales[i])));
  }
  return scales;
}

}  // namespace atoll::model
