#include <algorithm>
#include <string>

#include "kernels/cuda/reach.h"
#include "kernels/expect.h"
#include "kernels/rope/rope_checks.h"
#include "kernels/rope/rope_cuda.h"

namespace atoll::kernels {

namespace {

KernelError AnglesOf(const RopeTable& table, DeviceRopeAngles* angles) {
  const std::vector<float>& frequencies = table.frequencies();
  if (static_cast<int64_t>(frequencies.size()) > kDeviceRopePairs) {
    return Unsupported("the rotary dimension is " + std::to_string(2 * frequencies.size()) + ", expected at most " +
                       std::to_string(2 * kDeviceRopePairs) + " on a device");
  }
  std::copy(frequencies.begin(), frequencies.end(), angles->frequencies);
  angles->pairs = static_cast<int32_t>(frequencies.size());
  angles->magnitude = table.magnitude();
  angles->interleaved = table.params().interleaved;
  return {};
}

}  // namespace

KernelError RotateQueries(DeviceStream& stream, const RopeTable& table, const RotateQueriesArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckRotateQueriesShapes(table, args));
  RotateQueriesParams params = {.heads = args.heads, .nope_dim = args.nope_dim};
  ATOLL_RETURN_IF_KERNEL_ERROR(AnglesOf(table, &params.angles));
  if (args.q.rows == 0 || args.q.cols == 0) return {};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "RotateQueries' q", args.q, &params.q));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "RotateQueries' positions", args.positions, &params.positions));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "RotateQueries' q_nope", args.q_nope, &params.q_nope));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "RotateQueries' q_rope", args.q_rope, &params.q_rope));
  return stream.Launch(kRotateQueryRows, {.grid = {static_cast<uint32_t>(args.q.rows)}, .block = {kRotateQueryRows.threads_max}}, params);
}

KernelError WriteKeys(DeviceStream& stream, const RopeTable& table, const WriteKeysArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckWriteKeysShapes(table, args));
  WriteKeysParams params = {.latent_dim = static_cast<int64_t>(args.latent_weight.size()), .latent_eps = args.latent_eps,
                            .bf16 = args.dtype == DType::kBF16};
  ATOLL_RETURN_IF_KERNEL_ERROR(AnglesOf(table, &params.angles));
  if (args.kv_a.rows == 0) return {};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "WriteKeys' kv_a", args.kv_a, &params.kv_a));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "WriteKeys' positions", args.positions, &params.positions));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "WriteKeys' latent_weight", args.latent_weight, &params.latent_weight));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "WriteKeys' key_rows", args.key_rows, &params.key_rows));
  return stream.Launch(kWriteKeyRows, {.grid = {static_cast<uint32_t>(args.kv_a.rows)}, .block = {kWriteKeyRows.threads_max}}, params);
}

}  // namespace atoll::kernels
