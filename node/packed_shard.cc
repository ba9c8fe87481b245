#include "node/packed_shard.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"

namespace atoll::node {
namespace {

kernels::PackSource SourceOf(const PackItem& item, DType dtype, int64_t rows, int64_t cols) {
  kernels::PackSource source;
  source.dtype = dtype;
  source.row_stride = cols;
  source.row0 = item.part.first_row;
  source.rows = item.part.rows == 0 ? rows - item.part.first_row : item.part.rows;
  source.col0 = item.part.first_col;
  source.cols = item.part.cols == 0 ? cols - item.part.first_col : item.part.cols;
  source.transposed = item.transposed;
  return source;
}

// Reports bytes of source; a tensor counts once, when the last of its items is packed.
class ProgressMeter {
 public:
  ProgressMeter(const model::LoadProgressSink& sink, uint64_t bytes_total) : sink_(sink) { now_.bytes_total = bytes_total; }

  void Add(uint64_t bytes) {
    now_.bytes_done += bytes;
    now_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    if (sink_) sink_(now_);
  }

 private:
  const model::LoadProgressSink& sink_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  model::LoadProgress now_;
};

bool SameTensorAsPrevious(std::span<const PackItem> items, size_t index) {
  return index > 0 && items[index].tensor == items[index - 1].tensor;
}

}  // namespace

absl::Status FromKernelError(const kernels::KernelError& error, const std::string& where) {
  if (error.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(where, ": ", error.text));
}

absl::StatusOr<int64_t> PackedItemBytes(const model::Checkpoint& checkpoint, const PackItem& item) {
  const model::TensorEntry* entry = checkpoint.Find(item.tensor);
  if (entry == nullptr || !entry->present())
    return absl::InvalidArgumentError(absl::StrCat("the checkpoint has no tensor ", item.tensor));
  if (entry->spec->cols == 0)
    return absl::InvalidArgumentError(absl::StrCat(item.tensor, " is a vector, expected a matrix"));
  const kernels::PackSource source = SourceOf(item, entry->dtype, entry->spec->rows, entry->spec->cols);
  const bool inside = source.row0 >= 0 && source.col0 >= 0 && source.rows > 0 && source.cols > 0 &&
                      source.row0 + source.rows <= entry->spec->rows && source.col0 + source.cols <= entry->spec->cols;
  if (!inside)
    return absl::InvalidArgumentError(
        absl::StrCat(item.tensor, ": the wanted rectangle is empty or outside [", entry->spec->rows, ", ", entry->spec->cols, "]"));
  return kernels::PackedBytes(source);
}

absl::Status PackItemInto(const model::HostMatrix& matrix, const PackItem& item, const kernels::Context& context,
                          std::span<std::byte> to) {
  kernels::PackSource source = SourceOf(item, matrix.dtype, matrix.rows, matrix.cols);
  source.data = matrix.data.get();
  if (matrix.dtype == DType::kF8E4M3) {
    source.scales = matrix.scales.data();
    source.scale_stride = matrix.scale_cols();
  }
  return FromKernelError(kernels::PackMatrix(context, source, to, item.destination), item.tensor);
}

absl::StatusOr<PackedShard> PackedShard::Load(const model::Checkpoint& checkpoint, std::span<const PackItem> items,
                                              const kernels::Context& context, const model::LoadProgressSink& progress) {
  std::vector<int64_t> sizes;
  int64_t packed_bytes = 0;
  uint64_t source_bytes = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    ATOLL_CHECK(items[i].destination != nullptr, items[i].tensor);
    ATOLL_ASSIGN_OR_RETURN(const int64_t bytes, PackedItemBytes(checkpoint, items[i]));
    sizes.push_back(bytes);
    packed_bytes += bytes;
    if (!SameTensorAsPrevious(items, i)) source_bytes += checkpoint.Find(items[i].tensor)->bytes;
  }
  PackedShard shard;
  shard.buffer_ = kernels::HugeBuffer(static_cast<size_t>(packed_bytes));
  std::span<std::byte> free = shard.buffer_.span();
  ProgressMeter meter(progress, source_bytes);
  model::HostMatrix matrix;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!SameTensorAsPrevious(items, i)) {
      ATOLL_ASSIGN_OR_RETURN(matrix, checkpoint.ReadMatrix(items[i].tensor));
      meter.Add(checkpoint.Find(items[i].tensor)->bytes);
    }
    ATOLL_RETURN_IF_ERROR(PackItemInto(matrix, items[i], context, free.first(static_cast<size_t>(sizes[i]))));
    free = free.subspan(static_cast<size_t>(sizes[i]));
  }
  return shard;
}

}  // namespace atoll::node
