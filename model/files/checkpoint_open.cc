// Opening a checkpoint: its files, and every tensor against the catalogue.

#include <algorithm>
#include <unordered_map>

#include "model/checkpoint.h"
#include "model/files/fingerprint.h"
#include "model/files/refusal.h"

namespace atoll::model {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr size_t kFilesMax = 512;
// A released header has about 190 bytes per tensor.
constexpr uint64_t kHeaderBytesPerTensor = 512;
constexpr uint64_t kHeaderBytesSpare = 64 << 10;
constexpr uint64_t kSkippedTensorsMax = 1024;
constexpr uint64_t kDuplicateSamples = 64;
constexpr uint64_t kDuplicateSampleBytes = 256;

SafetensorsLimits LimitsFor(const TensorCatalogue& catalogue) {
  const uint64_t tensors = catalogue.specs().size() + kSkippedTensorsMax;
  const SafetensorsLimits widest;
  return {.header_bytes_max = std::min(widest.header_bytes_max, tensors * kHeaderBytesPerTensor + kHeaderBytesSpare),
          .tensors_max = tensors};
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
    return Refusal("tensor ", spec.name, ": expected the shape ", ShapeText(ExpectedShape(spec)), ", found ",
                   ShapeText(tensor.shape));
  }
  if (Accepts(spec, tensor.type)) return absl::OkStatus();
  return Refusal("tensor ", spec.name, ": expected the dtype ", StoredTypeName(ToStoredType(spec.dtype)), ", found ",
                 StoredTypeName(tensor.type));
}

absl::StatusOr<std::string> ReadHeader(const VerifiedFile& file, const SafetensorsLimits& limits) {
  std::byte prefix[kSafetensorsPrefixBytes] = {};
  if (file.size() >= sizeof(prefix)) ATOLL_RETURN_IF_ERROR(file.Read(0, prefix));
  ATOLL_ASSIGN_OR_RETURN(const uint64_t length, ParseSafetensorsPrefix(prefix, file.size(), limits));
  std::string header(length, '\0');
  ATOLL_RETURN_IF_ERROR(
      file.Read(kSafetensorsPrefixBytes, std::as_writable_bytes(std::span(header.data(), header.size()))));
  return header;
}

}  // namespace

Checkpoint::Checkpoint(std::string dir, ModelConfig config)
    : dir_(std::move(dir)), config_(std::move(config)), catalogue_(config_) {
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
  if (has_index && has_single)
    return Refusal(dir_, ": expected either ", kSingleFile, " or ", kIndexFile, ", found both: remove one");
  if (!has_index && !has_single)
    return absl::NotFoundError(absl::StrCat(dir_, ": expected ", kSingleFile, " or ", kIndexFile, ", found neither"));
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
    if (files.size() == kFilesMax)
      return InFile(index_path, Refusal("expected at most ", kFilesMax, " files, found more"));
    files.emplace(entry.file, static_cast<int32_t>(files_.size()));
    ATOLL_RETURN_IF_ERROR(AddFile(entry.file));
  }
  for (const SafetensorsIndexEntry& entry : *index) {
    const int64_t at = catalogue_.IndexOf(entry.tensor);
    if (at < 0 || entries_[at].file == files.at(entry.file)) continue;
    return InFile(index_path, Refusal("expected tensor ", entry.tensor, " in ", entry.file, ", it is not there"));
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
  if (at < 0)
    return Refusal("tensor ", tensor.name.substr(0, 200), " does not belong to the model that config.json describes");
  TensorEntry& entry = entries_[at];
  if (entry.present())
    return Refusal("tensor ", tensor.name, " is in two files, the other is ", files_[entry.file].path());
  ATOLL_RETURN_IF_ERROR(CheckAgainst(*entry.spec, tensor));
  entry.dtype = *ToDType(tensor.type);
  entry.file = file;
  entry.offset = data_offset + tensor.begin;
  entry.bytes = tensor.end - tensor.begin;
  return absl::OkStatus();
}

absl::Status Checkpoint::CheckComplete() {
  has_mtp_ = std::any_of(entries_.begin(), entries_.end(),
                         [](const TensorEntry& entry) { return entry.spec->mtp && entry.present(); });
  for (const TensorEntry& entry : entries_) {
    const bool optional = !entry.spec->duplicate_of.empty() || (entry.spec->mtp && !has_mtp_);
    if (entry.present() || optional) continue;
    return Refusal(dir_, ": tensor ", entry.spec->name, " ", ShapeText(ExpectedShape(*entry.spec)), " is missing");
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
      if (a != b)
        return Refusal(dir_, ": tensor ", copy.spec->name, " must equal ", copy.spec->duplicate_of,
                       ", it differs (own embeddings or heads are not supported)");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Checkpoint::ComputeFingerprint() const {
  Fingerprint fingerprint;
  fingerprint.AddConfig(config_);
  const auto present =
      std::count_if(entries_.begin(), entries_.end(), [](const TensorEntry& entry) { return entry.present(); });
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

}  // namespace atoll::model
