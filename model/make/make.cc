#include "model/make.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_format.h"
#include "model/files/safetensors.h"
#include "model/make/output_file.h"
#include "model/make/weight_noise.h"
#include "model/tensor_catalogue.h"

namespace atoll::model {
namespace {

constexpr size_t kPieceBytes = 4 << 20;
constexpr uint64_t kSpareDiskBytes = 16 << 20;

using Shard = std::vector<const TensorSpec*>;

std::vector<Shard> CutIntoShards(const TensorCatalogue& catalogue, uint64_t shard_bytes_max) {
  std::vector<Shard> shards(1);
  uint64_t filled = 0;
  for (const TensorSpec& spec : catalogue.specs()) {
    if (!spec.duplicate_of.empty()) continue;
    const auto bytes = static_cast<uint64_t>(spec.bytes());
    if (filled > 0 && filled + bytes > shard_bytes_max) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(&spec);
    filled += bytes;
  }
  return shards;
}

std::string ShardName(size_t index, size_t count) {
  return count == 1 ? "model.safetensors" : absl::StrFormat("model-%05d-of-%06d.safetensors", index + 1, count);
}

SafetensorsTensor Described(const TensorSpec& spec) {
  SafetensorsTensor tensor{
      .name = spec.name, .type = ToStoredType(spec.dtype), .shape = {static_cast<uint64_t>(spec.rows)}};
  if (spec.cols != 0) tensor.shape.push_back(static_cast<uint64_t>(spec.cols));
  return tensor;
}

absl::Status PrepareFolder(const std::string& dir, uint64_t bytes) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error || !std::filesystem::is_directory(dir, error))
    return absl::UnavailableError(absl::StrCat("cannot make the folder ", dir, ": ", error.message()));
  const bool empty = std::filesystem::is_empty(dir, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot read the folder ", dir, ": ", error.message()));
  if (!empty) return absl::AlreadyExistsError(absl::StrCat(dir, ": expected a new or empty folder, found files in it"));
  struct statvfs disk;
  if (::statvfs(dir.c_str(), &disk) != 0) return absl::OkStatus();  // a full disk then shows as a failed write
  const uint64_t free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (bytes + kSpareDiskBytes <= free_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat("the checkpoint needs %.2f GB, %s has %.2f GB free",
                                                      static_cast<double>(bytes) / 1e9, dir,
                                                      static_cast<double>(free_bytes) / 1e9));
}

class Maker {
 public:
  Maker(const MakeOptions& options, const ModelConfig& config)
      : options_(options),
        config_(config),
        catalogue_(config),
        shards_(CutIntoShards(catalogue_, options.shard_bytes_max)),
        piece_(kPieceBytes) {
    for (const Shard& shard : shards_) {
      for (const TensorSpec* spec : shard) done_.bytes_total += static_cast<uint64_t>(spec->bytes());
    }
  }

  absl::Status Run() {
    ATOLL_RETURN_IF_ERROR(PrepareFolder(options_.out_dir, done_.bytes_total));
    for (size_t i = 0; i < shards_.size(); ++i) ATOLL_RETURN_IF_ERROR(WriteShard(i));
    if (shards_.size() > 1) ATOLL_RETURN_IF_ERROR(WriteText("model.safetensors.index.json", Index()));
    ATOLL_RETURN_IF_ERROR(WriteText("generation_config.json", Generation()));
    // Last, so that a folder which was not finished does not open.
    return WriteText("config.json", options_.config_json);
  }

 private:
  absl::Status WriteShard(size_t index) {
    std::vector<SafetensorsTensor> header;
    for (const TensorSpec* spec : shards_[index]) header.push_back(Described(*spec));
    ATOLL_ASSIGN_OR_RETURN(OutputFile file,
                           OutputFile::Create(absl::StrCat(options_.out_dir, "/", ShardName(index, shards_.size()))));
    ATOLL_RETURN_IF_ERROR(file.Write(MakeSafetensorsHeader(header)));
    for (const TensorSpec* spec : shards_[index]) ATOLL_RETURN_IF_ERROR(WriteTensor(*spec, file));
    return file.Close();
  }

  absl::Status WriteTensor(const TensorSpec& spec, OutputFile& file) {
    // A catalogue lists a scale right after its matrix.
    const TensorSpec& matrix = spec.kind == TensorKind::kScale ? *(&spec - 1) : spec;
    WeightNoise noise(spec, matrix.cols, config_.power_of_two_scales, options_.seed);
    for (uint64_t left = static_cast<uint64_t>(spec.bytes()); left > 0;) {
      const std::span<std::byte> piece(piece_.data(), std::min<uint64_t>(left, piece_.size()));
      noise.Next(piece);
      ATOLL_RETURN_IF_ERROR(file.Write(piece));
      left -= piece.size();
      Report(piece.size());
    }
    return absl::OkStatus();
  }

  void Report(uint64_t bytes) {
    constexpr uint64_t kReportBytes = 64 << 20;
    const bool due = done_.bytes_done / kReportBytes != (done_.bytes_done + bytes) / kReportBytes ||
                     done_.bytes_done + bytes == done_.bytes_total;
    done_.bytes_done += bytes;
    if (!due || !options_.progress) return;
    done_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    options_.progress(done_);
  }

  absl::Status WriteText(const std::string& name, const std::string& text) {
    ATOLL_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(absl::StrCat(options_.out_dir, "/", name)));
    ATOLL_RETURN_IF_ERROR(file.Write(text));
    return file.Close();
  }

  std::string Index() const {
    nlohmann::json index = {{"metadata", {{"total_size", done_.bytes_total}}},
                            {"weight_map", nlohmann::json::object()}};
    for (size_t i = 0; i < shards_.size(); ++i) {
      for (const TensorSpec* spec : shards_[i]) index["weight_map"][spec->name] = ShardName(i, shards_.size());
    }
    return index.dump(1) + "\n";
  }

  std::string Generation() const {
    nlohmann::json generation = {{"do_sample", true}, {"temperature", 1.0}, {"top_p", 1.0}};
    if (config_.bos_token_id >= 0) generation["bos_token_id"] = config_.bos_token_id;
    if (!config_.eos_token_ids.empty()) generation["eos_token_id"] = config_.eos_token_ids;
    return generation.dump(1) + "\n";
  }

  const MakeOptions& options_;
  const ModelConfig& config_;
  const TensorCatalogue catalogue_;
  const std::vector<Shard> shards_;
  std::vector<std::byte> piece_;
  LoadProgress done_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

absl::Status MakeCheckpoint(const MakeOptions& options) {
  ATOLL_ASSIGN_OR_RETURN(const ModelConfig config, ParseModelConfig(options.config_json));
  return Maker(options, config).Run();
}

}  // namespace atoll::model
