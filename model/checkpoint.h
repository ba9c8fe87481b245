#pragma once

// A checkpoint folder: config.json and one safetensors file, or shards with an index. Open() reads and checks all
// headers and no weight; reads are checked copies into the caller's memory (pread, never a mapped page: a file that
// shrinks gives DataLoss, not SIGBUS), after which the source's pages leave the page cache.
//
// Files are regular files inside the folder. A symlink is followed only to a file inside the folder or, where the
// folder is DIR/snapshots/REVISION as in Hugging Face's cache, inside DIR/blobs. Descriptors stay open for the object's
// life, so a replaced file changes nothing and a changed one is noticed by size and time.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/matrix_view.h"
#include "base/status.h"
#include "model/config.h"
#include "model/files/safetensors.h"
#include "model/files/verified_file.h"
#include "model/tensor_catalogue.h"

namespace atoll::model {

// Where a tensor of the catalogue lies.
struct TensorEntry {
  const TensorSpec* spec = nullptr;  // owned by the checkpoint's catalogue
  DType dtype = DType::kBF16;        // in the file
  int32_t file = -1;                 // -1: absent (an MTP tensor of a checkpoint without MTP, or a duplicate)
  uint64_t offset = 0;               // from the file's begin
  uint64_t bytes = 0;

  bool present() const { return file >= 0; }
};

// A row-major matrix in the file's dtype, owned, with its block scales.
struct HostMatrix {
  DType dtype = DType::kBF16;  // kBF16 or kF8E4M3
  int64_t rows = 0;
  int64_t cols = 0;
  std::unique_ptr<std::byte[]> data;
  std::vector<float> scales;  // [ceil(rows / 128), ceil(cols / 128)]; empty unless fp8

  ConstMatrixView View() const { return {data.get(), dtype, rows, cols, cols}; }
  int64_t scale_cols() const { return ScaleBlocks(cols); }
};

// Thread-safe after Open: all methods are const.
class Checkpoint {
 public:
  // InvalidArgument says which file or tensor is wrong, what was expected and what was found; NotFound: a file is
  // missing.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& dir);

  const std::string& dir() const { return dir_; }
  const ModelConfig& config() const { return config_; }
  const GenerationConfig& generation() const { return generation_; }
  const TensorCatalogue& catalogue() const { return catalogue_; }
  // Parallel to catalogue().specs().
  std::span<const TensorEntry> entries() const { return entries_; }
  // Whether the MTP layers' tensors are there.
  bool has_mtp() const { return has_mtp_; }
  size_t file_count() const { return files_.size(); }

  // Null when the checkpoint has no such tensor.
  const TensorEntry* Find(std::string_view name) const;

  // Copies the tensor's bytes; `out` has entry.bytes. Non-finite weights are refused with the tensor's name. DataLoss:
  // the file changed or shrank.
  absl::Status ReadTensor(const TensorEntry& entry, std::span<std::byte> out) const;
  // A matrix with its scales; scales that are not positive and finite are refused.
  absl::StatusOr<HostMatrix> ReadMatrix(std::string_view name) const;
  // A norm's weights or a correction bias, stored as bf16 or float32.
  absl::StatusOr<std::vector<float>> ReadVector(std::string_view name) const;

  // Equal for equal models, however sharded: a hash of config, all names, types and shapes, and some bytes of the
  // tensors. Nodes compare it; it is no protection against forgery.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  Checkpoint(std::string dir, ModelConfig config);
  absl::Status OpenFiles();
  absl::Status OpenShards();
  absl::Status AddFile(const std::string& name);
  absl::Status AddTensor(int32_t file, uint64_t data_offset, const SafetensorsTensor& tensor);
  absl::Status CheckComplete();
  absl::Status CheckDuplicates() const;
  absl::StatusOr<uint64_t> ComputeFingerprint() const;
  absl::StatusOr<const TensorEntry*> Require(std::string_view name) const;
  absl::StatusOr<std::vector<float>> ReadFloats(const TensorEntry& entry) const;
  absl::StatusOr<std::vector<float>> ReadScales(std::string_view weight_name) const;

  std::string dir_;
  ModelConfig config_;
  GenerationConfig generation_;
  TensorCatalogue catalogue_;
  std::vector<TensorEntry> entries_;
  std::vector<VerifiedFile> files_;
  bool has_mtp_ = false;
  uint64_t fingerprint_ = 0;
};

}  // namespace atoll::model
