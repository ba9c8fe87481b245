#include <algorithm>
#include <string>

#include "kernels/cuda/reach.h"
#include "kernels/expect.h"
#include "kernels/linear/linear_cuda.h"
#include "kernels/mla/attention_space.h"
#include "kernels/mla/mla_checks.h"
#include "kernels/mla/mla_cuda.h"

namespace atoll::kernels {

namespace {

// For each run, segment by segment: gather the segment's key rows, expand them to keys and values of all heads, let tiles of 16 rows and one
// head attend to them. The state of every (row, head) waits between segments.

struct Space {
  std::byte* keys = nullptr;       // [2048, latent_dim + rope_dim]
  std::byte* expanded = nullptr;   // [2048, heads * (nope_dim + value_dim)]
  float* z = nullptr;              // [run rows, heads, value_dim]
  AttentionState* states = nullptr;
  int64_t bytes = 0;
};

Space LayOut(std::byte* scratch, const MlaShape& shape, int64_t run_rows) {
  const int64_t element = DTypeBytes(shape.pages.dtype);
  Space space;
  const auto take = [&](int64_t bytes) {
    const int64_t at = space.bytes;
    space.bytes += (bytes + 255) / 256 * 256;
    return scratch == nullptr ? nullptr : scratch + at;
  };
  space.keys = take(kDeviceMlaSegment * shape.pages.RowElements() * element);
  space.expanded = take(kDeviceMlaSegment * shape.heads * (shape.nope_dim + shape.value_dim) * element);
  space.z = reinterpret_cast<float*>(take(run_rows * shape.heads * shape.value_dim * int64_t{sizeof(float)}));
  space.states = reinterpret_cast<AttentionState*>(take(run_rows * shape.heads * int64_t{sizeof(AttentionState)}));
  return space;
}

class PrefillLaunch {
 public:
  PrefillLaunch(DeviceStream& stream, const MlaPrefillDeviceArgs& args) : stream_(stream), args_(args), shape_(args.shape) {}

  KernelError Reach() {
    DevicePtr<std::byte> scratch;
    ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream_, "MlaPrefill's q_nope", args_.q_nope, &params_.q_nope));
    ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream_, "MlaPrefill's q_rope", args_.q_rope, &params_.q_rope));
    ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream_, "MlaPrefill's out", args_.out, &params_.out));
    return ReachSpan(stream_, "MlaPrefill's scratch", args_.scratch, &scratch);
  }

  KernelError Run(const DevicePrefillRun& run) {
    const int64_t keys = int64_t{run.first_position} + run.rows;
    DevicePtr<std::byte* const> pages;
    ATOLL_RETURN_IF_KERNEL_ERROR(stream_.Reach("a run's page table", run.pages, (keys + kPagePositions - 1) / kPagePositions, &pages));
    space_ = LayOut(args_.scratch.data(), shape_, run.rows);
    Describe(run);
    for (int32_t segment = 0; segment * kDeviceMlaSegment < keys; ++segment) {
      params_.segment = segment;
      const int64_t count = std::min(kDeviceMlaSegment, keys - segment * kDeviceMlaSegment);
      ATOLL_RETURN_IF_KERNEL_ERROR(Gather(pages, segment, count));
      ATOLL_RETURN_IF_KERNEL_ERROR(Expand(count));
      ATOLL_RETURN_IF_KERNEL_ERROR(Attend());
    }
    return {};
  }

 private:
  void Describe(const DevicePrefillRun& run) {
    params_.heads = shape_.heads;
    params_.nope_dim = static_cast<int32_t>(shape_.nope_dim);
    params_.rope_dim = static_cast<int32_t>(shape_.pages.rope_dim);
    params_.value_dim = static_cast<int32_t>(shape_.value_dim);
    params_.latent_dim = static_cast<int32_t>(shape_.pages.latent_dim);
    params_.scale = shape_.scale;
    params_.first_position = run.first_position;
    params_.run_rows = run.rows;
    params_.first_row = run.first_row;
    params_.keys = DevicePtr<const std::byte>(space_.keys);
    params_.expanded = DevicePtr<const std::byte>(space_.expanded);
    params_.z = DevicePtr(space_.z);
    params_.states = DevicePtr(space_.states);
  }

  KernelError Gather(DevicePtr<std::byte* const> pages, int32_t segment, int64_t count) {
    const MlaGatherParams params = {.pages = pages, .layer_offset = shape_.pages.LayerOffset(args_.layer),
                                    .first_key = static_cast<int32_t>(segment * kDeviceMlaSegment),
                                    .row_words = static_cast<int32_t>(shape_.pages.RowBytes() / 4),
                                    .keys = DevicePtr(reinterpret_cast<uint32_t*>(space_.keys))};
    return stream_.Launch(kMlaGatherKeys, {.grid = {static_cast<uint32_t>(count)}, .block = {kMlaGatherKeys.threads_max}}, params);
  }

  KernelError Expand(int64_t count) {
    const DType dtype = shape_.pages.dtype;
    const ConstMatrixView latents(space_.keys, dtype, count, shape_.pages.latent_dim, shape_.pages.RowElements());
    const int64_t width = shape_.heads * (shape_.nope_dim + shape_.value_dim);
    return Linear(stream_, args_.kv_b, latents, {space_.expanded, dtype, count, width, width});
  }

  KernelError Attend() {
    const auto element = static_cast<int32_t>(DTypeBytes(shape_.pages.dtype));
    const AttentionSpace space = PrefillSpace(params_.nope_dim + params_.rope_dim, params_.value_dim, element);
    const auto& kernel = shape_.pages.dtype == DType::kBF16 ? kMlaPrefillBf16 : kMlaPrefillF32;
    return stream_.Launch(kernel, {.grid = {BlocksOf(params_.run_rows, kTileQueries), static_cast<uint32_t>(shape_.heads)},
                                   .block = {kAttentionThreads}, .shared_bytes = AttentionSharedBytes(space, element)}, params_);
  }

  DeviceStream& stream_;
  const MlaPrefillDeviceArgs& args_;
  const MlaShape& shape_;
  Space space_;
  MlaPrefillParams params_;
};

KernelError CheckRun(const MlaPrefillDeviceArgs& args, const DevicePrefillRun& run) {
  const bool inside = run.rows >= 0 && run.first_row >= 0 && int64_t{run.first_row} + run.rows <= args.q_nope.rows;
  if (!inside || run.first_position < 0 || run.pages == nullptr) {
    return InvalidValue("MlaPrefill: a run of " + std::to_string(run.rows) + " rows from row " + std::to_string(run.first_row) + ", position " +
                        std::to_string(run.first_position) + ", does not lie in matrices of " + std::to_string(args.q_nope.rows) + " rows");
  }
  return CheckMlaScratch(args.scratch, MlaPrefillDeviceScratchBytes(args.shape, run.rows));
}

KernelError Check(const MlaPrefillDeviceArgs& args) {
  const MlaShape& shape = args.shape;
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckDeviceMlaShape(shape, args.layer));
  const int64_t rows = args.q_nope.rows;
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaPrefill's q_nope", shape, args.q_nope, rows, shape.nope_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaPrefill's q_rope", shape, args.q_rope, rows, shape.pages.rope_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaPrefill's out", shape, args.out, rows, shape.value_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(args.kv_b.heads == 1 && args.kv_b.outputs == shape.heads * (shape.nope_dim + shape.value_dim) &&
                                              args.kv_b.inputs == shape.pages.latent_dim,
                                          "MlaPrefill: kv_b is not [heads * (nope_dim + value_dim), latent_dim] in one piece"));
  for (const DevicePrefillRun& run : args.runs) ATOLL_RETURN_IF_KERNEL_ERROR(CheckRun(args, run));
  return {};
}

}  // namespace

KernelError MlaPrefill(DeviceStream& stream, const MlaPrefillDeviceArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(Check(args));
  PrefillLaunch launch(stream, args);
  ATOLL_RETURN_IF_KERNEL_ERROR(launch.Reach());
  for (const DevicePrefillRun& run : args.runs) {
    if (run.rows > 0) ATOLL_RETURN_IF_KERNEL_ERROR(launch.Run(run));
  }
  return {};
}

int64_t MlaPrefillDeviceScratchBytes(const MlaShape& shape, int64_t run_rows_max) { return LayOut(nullptr, shape, run_rows_max).bytes; }

}  // namespace atoll::kernels
