#include "kernels/cuda/reach.h"
#include "kernels/expect.h"
#include "kernels/mla/attention_space.h"
#include "kernels/mla/mla_checks.h"
#include "kernels/mla/mla_cuda.h"

namespace atoll::kernels {

namespace {

int64_t SegmentsOf(int64_t positions) { return (positions + kDeviceMlaSegment - 1) / kDeviceMlaSegment; }

struct Partials {
  float* z = nullptr;                // [rows, segments, heads, latent_dim]
  AttentionState* states = nullptr;  // [rows, segments, heads]
  int64_t bytes = 0;
};

// None where one segment holds everything.
Partials LayOut(std::byte* scratch, const MlaShape& shape, int64_t rows, int64_t segments) {
  if (segments <= 1) return {};
  const int64_t count = rows * segments * shape.heads;
  const int64_t z_bytes = count * shape.pages.latent_dim * int64_t{sizeof(float)};
  const int64_t bytes = z_bytes + count * int64_t{sizeof(AttentionState)};
  if (scratch == nullptr) return {.bytes = bytes};
  return {reinterpret_cast<float*>(scratch), reinterpret_cast<AttentionState*>(scratch + z_bytes), bytes};
}

KernelError Check(const MlaDecodeDeviceArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckDeviceMlaShape(args.shape, args.layer));
  const int64_t rows = args.qa.rows;
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaDecode's qa", args.shape, args.qa, rows, args.shape.pages.latent_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaDecode's q_rope", args.shape, args.q_rope, rows, args.shape.pages.rope_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaDecode's z", args.shape, args.z, rows, args.shape.pages.latent_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(args.positions_max >= 1, "MlaDecode: positions_max must be positive"));
  const int64_t bytes = MlaDecodeDeviceScratchBytes(args.shape, static_cast<int64_t>(args.rows.size()), args.positions_max);
  return CheckMlaScratch(args.scratch, bytes);
}

KernelError Reach(DeviceStream& stream, const MlaDecodeDeviceArgs& args, MlaDecodeParams* params) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "MlaDecode's rows", args.rows, &params->rows));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "MlaDecode's qa", args.qa, &params->qa));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "MlaDecode's q_rope", args.q_rope, &params->q_rope));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "MlaDecode's z", args.z, &params->z));
  DevicePtr<std::byte> scratch;
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "MlaDecode's scratch", args.scratch, &scratch));
  const Partials partials = LayOut(scratch.address(), args.shape, static_cast<int64_t>(args.rows.size()), params->segments);
  params->partial_z = DevicePtr(partials.z);
  params->partial_states = DevicePtr(partials.states);
  return {};
}

}  // namespace

KernelError CheckDeviceMlaShape(const MlaShape& shape, int64_t layer) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaShape(shape, layer));
  return ExpectTrue(shape.pages.latent_dim <= kValueDimMax && shape.value_dim <= kValueDimMax,
                    "attention: latent_dim and value_dim above 512 are not supported on a device");
}

KernelError MlaDecode(DeviceStream& stream, const MlaDecodeDeviceArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(Check(args));
  if (args.rows.empty()) return {};
  const MlaShape& shape = args.shape;
  MlaDecodeParams params = {.heads = shape.heads, .latent_dim = static_cast<int32_t>(shape.pages.latent_dim),
                            .rope_dim = static_cast<int32_t>(shape.pages.rope_dim), .layer_offset = shape.pages.LayerOffset(args.layer),
                            .scale = shape.scale, .segments = SegmentsOf(args.positions_max)};
  ATOLL_RETURN_IF_KERNEL_ERROR(Reach(stream, args, &params));
  const auto element = static_cast<int32_t>(DTypeBytes(shape.pages.dtype));
  const int64_t shared = AttentionSharedBytes(DecodeSpace(params.latent_dim, params.rope_dim, element), element);
  const auto rows = static_cast<uint32_t>(args.rows.size());
  const auto& kernel = shape.pages.dtype == DType::kBF16 ? kMlaDecodeBf16 : kMlaDecodeF32;
  ATOLL_RETURN_IF_KERNEL_ERROR(stream.Launch(kernel, {.grid = {rows, BlocksOf(shape.heads, kTileQueries), static_cast<uint32_t>(params.segments)},
                                                      .block = {kAttentionThreads}, .shared_bytes = shared}, params));
  if (params.segments == 1) return {};
  return stream.Launch(kMlaMerge, {.grid = {rows, static_cast<uint32_t>(shape.heads)}, .block = {kMlaMerge.threads_max}}, params);
}

int64_t MlaDecodeDeviceScratchBytes(const MlaShape& shape, int64_t rows, int64_t positions_max) {
  return LayOut(nullptr, shape, rows, SegmentsOf(positions_max)).bytes;
}

}  // namespace atoll::kernels
