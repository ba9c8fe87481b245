#include "kernels/mla/mla_prefill.h"

#include <algorithm>

#include "kernels/expect.h"
#include "kernels/linear/linear.h"
#include "kernels/mla/attention_core.h"
#include "kernels/mla/mla_checks.h"
#include "kernels/mla/mla_scratch.h"

namespace atoll::kernels {

namespace {

// Neighbouring rows of one sequence form a run. For each run, a few heads at a time, segment by segment: gather the segment's
// latents, expand them to keys and values of those heads, then let tiles of (head, 16 rows) attend to them. The state of every
// (row, head) of the block waits between segments.

constexpr int64_t kHeadBlock = 8;
constexpr int64_t kGatherKeys = 128;   // per block of the gather step

struct Buffers {
  int64_t rows_max = 0;
  std::byte* latents = nullptr;     // [1024, latent_dim]
  std::byte* keys = nullptr;        // [head block, 1024, nope_dim + rope_dim]
  std::byte* values = nullptr;      // [head block, 1024, value_dim]
  float* z = nullptr;               // [head block, rows_max, value_dim]
  LaneState* states = nullptr;      // [head block, tiles of rows_max]
  LinearTask* tasks = nullptr;      // [2, head block]
  float* scores = nullptr;          // [threads, 1024, 16]
  float* packed = nullptr;          // [threads, nope_dim + rope_dim, 16]
};

int64_t TilesOf(int64_t rows) { return (rows + kQueryLanes - 1) / kQueryLanes; }

Buffers LayOut(ScratchLayout& scratch, const MlaShape& shape, int64_t rows_max, int threads) {
  const int64_t element = DTypeBytes(shape.pages.dtype);
  const int64_t key_dim = shape.nope_dim + shape.pages.rope_dim;
  Buffers buffers{.rows_max = rows_max};
  buffers.latents = scratch.Take<std::byte>(kSegmentKeys * shape.pages.latent_dim * element);
  buffers.keys = scratch.Take<std::byte>(kHeadBlock * kSegmentKeys * key_dim * element);
  buffers.values = scratch.Take<std::byte>(kHeadBlock * kSegmentKeys * shape.value_dim * element);
  buffers.z = scratch.Take<float>(kHeadBlock * rows_max * shape.value_dim);
  buffers.states = scratch.Take<LaneState>(kHeadBlock * TilesOf(rows_max));
  buffers.tasks = scratch.Take<LinearTask>(2 * kHeadBlock);
  buffers.scores = scratch.Take<float>(threads * int64_t{kSegmentKeys} * kQueryLanes);
  buffers.packed = scratch.Take<float>(threads * key_dim * kQueryLanes);
  return buffers;
}

class PrefillRun {
 public:
  PrefillRun(const Context& context, const MlaPrefillArgs& args, const Buffers& buffers)
      : context_(context), args_(args), shape_(args.shape), core_(AttentionCoreOf(context.isa)), buffers_(buffers),
        bf16_(args.shape.pages.dtype == DType::kBF16), element_(DTypeBytes(args.shape.pages.dtype)),
        key_dim_(args.shape.nope_dim + args.shape.pages.rope_dim) {}

  KernelError RunAll() {
    for (size_t first = 0; first < args_.rows.size(); first += run_.size()) {
      run_ = args_.rows.subspan(first, RunLength(first));
      keys_ = 0;
      for (const MlaRow& row : run_) keys_ = std::max<int64_t>(keys_, row.position + 1);
      for (first_head_ = 0; first_head_ < shape_.heads; first_head_ += kHeadBlock) ATOLL_RETURN_IF_KERNEL_ERROR(RunHeads());
    }
    return {};
  }

 private:
  size_t RunLength(size_t first) const {
    size_t end = first + 1;
    while (end < args_.rows.size() && end - first < static_cast<size_t>(buffers_.rows_max) && args_.rows[end].pages == args_.rows[first].pages) ++end;
    return end - first;
  }

  int64_t Tiles() const { return TilesOf(static_cast<int64_t>(run_.size())); }

  KernelError RunHeads() {
    heads_ = std::min(kHeadBlock, shape_.heads - first_head_);
    for (int64_t i = 0; i < heads_ * Tiles(); ++i) buffers_.states[i].seen = 0;
    for (int64_t segment = 0; segment * kSegmentKeys < keys_; ++segment) {
      ATOLL_RETURN_IF_KERNEL_ERROR(Expand(segment));
      ParallelFor(context_, heads_ * Tiles(), [&](int64_t i, int thread) { Attend(segment, i, thread); });
    }
    return {};
  }

  KernelError Expand(int64_t segment) {
    const int64_t count = std::min<int64_t>(kSegmentKeys, keys_ - segment * kSegmentKeys);
    ParallelFor(context_, (count + kGatherKeys - 1) / kGatherKeys, [&](int64_t block, int) {
      const int64_t end = std::min(count, (block + 1) * kGatherKeys);
      for (int64_t key = block * kGatherKeys; key < end; ++key) Gather(segment, key);
    });
    const int64_t latent = shape_.pages.latent_dim;
    const ConstMatrixView x(buffers_.latents, shape_.pages.dtype, count, latent, latent);
    for (int64_t head = 0; head < heads_; ++head) {
      const MatrixView keys = {HeadKeys(head), shape_.pages.dtype, count, shape_.nope_dim, key_dim_};
      const MatrixView values = {HeadValues(head), shape_.pages.dtype, count, shape_.value_dim, shape_.value_dim};
      buffers_.tasks[2 * head] = {.weights = args_.uk[first_head_ + head], .x = x, .y = keys};
      buffers_.tasks[2 * head + 1] = {.weights = args_.uv[first_head_ + head], .x = x, .y = values};
    }
    return LinearBatch(context_, {buffers_.tasks, static_cast<size_t>(2 * heads_)});
  }

  // The latent part of a key row to `latents`, its rotary part behind the place of every head's expanded key.
  void Gather(int64_t segment, int64_t key) {
    const std::byte* row = KeyRow(shape_.pages, run_[0].pages, args_.layer, segment * kSegmentKeys + key);
    const int64_t latent_bytes = shape_.pages.latent_dim * element_;
    std::copy_n(row, latent_bytes, buffers_.latents + key * latent_bytes);
    for (int64_t head = 0; head < heads_; ++head) {
      std::copy_n(row + latent_bytes, shape_.pages.rope_dim * element_, HeadKeys(head) + (key * key_dim_ + shape_.nope_dim) * element_);
    }
  }

  std::byte* HeadKeys(int64_t head) const { return buffers_.keys + head * kSegmentKeys * key_dim_ * element_; }
  std::byte* HeadValues(int64_t head) const { return buffers_.values + head * kSegmentKeys * shape_.value_dim * element_; }
  float* HeadZ(int64_t head) const { return buffers_.z + head * buffers_.rows_max * shape_.value_dim; }

  // Tile i of this block of heads attends to a segment; a tile that has then seen all its keys writes its result.
  void Attend(int64_t segment, int64_t i, int thread) {
    const int64_t head = i / Tiles();
    const int64_t first_row = i % Tiles() * kQueryLanes;
    AttentionTile tile;
    FillTile(segment, head, first_row, thread, &tile);
    if (tile.keys_max == 0) return;
    LaneState* state = &buffers_.states[i];
    core_.pack_queries(tile);
    core_.scores(tile, 0, tile.keys_max);
    core_.softmax(&tile);
    core_.merge(&tile, state);
    float* z = HeadZ(head) + first_row * shape_.value_dim;
    core_.values(tile, {.begin = 0, .end = shape_.value_dim, .z = z, .z_stride = shape_.value_dim});
    for (int lane = 0; lane < tile.lanes; ++lane) {
      const MlaRow& row = run_[first_row + lane];
      if (row.position / kSegmentKeys != segment) continue;
      std::byte* out = args_.out.Row(row.index) + (first_head_ + head) * shape_.value_dim * element_;
      core_.finish(z + lane * shape_.value_dim, state->sum[lane], shape_.value_dim, bf16_, out);
    }
  }

  void FillTile(int64_t segment, int64_t head, int64_t first_row, int thread, AttentionTile* tile) const {
    tile->bf16 = bf16_;
    tile->lanes = static_cast<int>(std::min<int64_t>(kQueryLanes, static_cast<int64_t>(run_.size()) - first_row));
    tile->nope_dim = shape_.nope_dim;
    tile->rope_dim = shape_.pages.rope_dim;
    tile->packed = buffers_.packed + thread * key_dim_ * kQueryLanes;
    tile->scale = shape_.scale;
    tile->key_stride = key_dim_;
    tile->value_stride = shape_.value_dim;
    tile->scores = buffers_.scores + thread * int64_t{kSegmentKeys} * kQueryLanes;
    for (int lane = 0; lane < tile->lanes; ++lane) {
      const MlaRow& row = run_[first_row + lane];
      const int64_t here = row.position + 1 - segment * kSegmentKeys;
      tile->lane_keys[lane] = static_cast<int32_t>(std::clamp<int64_t>(here, 0, kSegmentKeys));
      tile->keys_max = std::max(tile->keys_max, tile->lane_keys[lane]);
      tile->q_nope[lane] = args_.q_nope.Row(row.index) + (first_head_ + head) * tile->nope_dim * element_;
      tile->q_rope[lane] = args_.q_rope.Row(row.index) + (first_head_ + head) * tile->rope_dim * element_;
    }
    for (int block = 0; block < kSegmentBlocks; ++block) {
      tile->keys[block] = HeadKeys(head) + block * kKeyBlock * key_dim_ * element_;
      tile->values[block] = HeadValues(head) + block * kKeyBlock * shape_.value_dim * element_;
    }
  }

  const Context& context_;
  const MlaPrefillArgs& args_;
  const MlaShape& shape_;
  const AttentionCore& core_;
  const Buffers& buffers_;
  const bool bf16_;
  const int64_t element_;
  const int64_t key_dim_;
  std::span<const MlaRow> run_;
  int64_t keys_ = 0;         // of the run: its largest position + 1
  int64_t first_head_ = 0;   // of the block of heads
  int64_t heads_ = 0;        // in it
};

KernelError CheckHeads(const char* name, std::span<const PackedMatrix> heads, const MlaShape& shape, int64_t outputs) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize(name, heads.size(), shape.heads));
  for (const PackedMatrix& head : heads) {
    ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(head.outputs == outputs && head.inputs == shape.pages.latent_dim,
                                            "MlaPrefill: a head's uk or uv is not [nope_dim or value_dim, latent_dim]"));
  }
  return {};
}

KernelError Check(const Context& context, const MlaPrefillArgs& args) {
  const MlaShape& shape = args.shape;
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaShape(shape, args.layer));
  const int64_t rows = args.q_nope.rows;
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaPrefill's q_nope", shape, args.q_nope, rows, shape.nope_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaPrefill's q_rope", shape, args.q_rope, rows, shape.pages.rope_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaPrefill's out", shape, args.out, rows, shape.value_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckHeads("MlaPrefill's uk", args.uk, shape, shape.nope_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckHeads("MlaPrefill's uv", args.uv, shape, shape.value_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaRows(args.rows, rows));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(args.rows_max > 0, "MlaPrefill: rows_max must be positive"));
  return CheckMlaScratch(args.scratch, MlaPrefillScratchBytes(shape, args.rows_max, Threads(context)));
}

}  // namespace

KernelError MlaPrefill(const Context& context, const MlaPrefillArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(Check(context, args));
  ScratchLayout scratch(args.scratch);
  const Buffers buffers = LayOut(scratch, args.shape, args.rows_max, Threads(context));
  return PrefillRun(context, args, buffers).RunAll();
}

int64_t MlaPrefillScratchBytes(const MlaShape& shape, int64_t rows_max, int threads) {
  ScratchLayout scratch;
  LayOut(scratch, shape, rows_max, threads);
  return scratch.bytes();
}

}  // namespace atoll::kernels
