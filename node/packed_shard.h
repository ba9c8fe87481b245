#pragma once

// Weights of a node in the kernels' packed layout: read from a checkpoint once, packed into one huge-page buffer; the
// source's bytes are dropped matrix by matrix, so memory peaks at the shard plus one matrix.

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/cpu/huge_buffer.h"
#include "kernels/kernel_error.h"
#include "kernels/linear/packed_matrix.h"
#include "model/checkpoint.h"
#include "model/load_progress.h"

namespace atoll::node {

// The one place where an error of the kernels becomes a Status: Internal, since shapes were checked before.
absl::Status FromKernelError(const kernels::KernelError& error, const std::string& where);

// A rectangle of a stored matrix; everything from the first row or column on where `rows` or `cols` is 0.
struct Rectangle {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t first_col = 0;
  int64_t cols = 0;
};

// Several items may cut the same tensor (kv_b into heads): those that follow each other read it once.
struct PackItem {
  std::string tensor;
  Rectangle part;
  bool transposed = false;
  kernels::PackedMatrix* destination = nullptr;  // set by Load
};

// Owns the memory that the packed matrices point into; movable, the matrices stay valid.
class PackedShard {
 public:
  PackedShard() = default;

  // Errors name the tensor. `context` lends its threads to the packing; `progress` may be empty, and is called after every
  // tensor with bytes of the source.
  static absl::StatusOr<PackedShard> Load(const model::Checkpoint& checkpoint, std::span<const PackItem> items,
                                          const kernels::Context& context, const model::LoadProgressSink& progress);

  size_t bytes() const { return buffer_.bytes(); }

 private:
  kernels::HugeBuffer buffer_;
};

// Bytes that `item` takes when packed, without reading weights. InvalidArgument: no such tensor, or not a matrix.
absl::StatusOr<int64_t> PackedItemBytes(const model::Checkpoint& checkpoint, const PackItem& item);

// Packs `item` out of `matrix` (its tensor, read) into `to`.
absl::Status PackItemInto(const model::HostMatrix& matrix, const PackItem& item, const kernels::Context& context,
                          std::span<std::byte> to);

}  // namespace atoll::node
