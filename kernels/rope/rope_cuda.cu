#include "kernels/cuda/device_code.h"
#include "kernels/cuda/operand_access.h"
#include "kernels/math/lanes_device.h"
#include "kernels/rms_norm/rms_norm_device.h"
#include "kernels/rope/rope_cuda.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"

namespace atoll::kernels {
namespace {

struct Turn {
  float cosine, sine;
};

ATOLL_DEVICE Turn TurnOf(const DeviceRopeAngles& angles, int32_t position, int pair) {
  const float angle = static_cast<float>(position) * angles.frequencies[pair];
  float sine = 0, cosine = 0;
  SinCos(angle, &sine, &cosine);
  return {cosine * angles.magnitude, sine * angles.magnitude};
}

// One pair of the vector `x` into the vector that begins at element `first` of `out`.
ATOLL_DEVICE void RotatePair(const DeviceRopeAngles& angles, Turn turn, int pair, const float* x, std::byte* out, int64_t first, bool bf16) {
  const int one = angles.interleaved ? 2 * pair : pair;
  const int other = angles.interleaved ? 2 * pair + 1 : pair + angles.pairs;
  const float a = x[one], b = x[other];
  PutElement(out, first + one, bf16, fmaf(a, turn.cosine, -(b * turn.sine)));
  PutElement(out, first + other, bf16, fmaf(a, turn.sine, b * turn.cosine));
}

}  // namespace

ATOLL_KERNEL(RotateQueryRows, RotateQueriesParams) {
  ATOLL_SHARED(Turn, turns, kDeviceRopePairs);
  const int64_t row = blockIdx.x;
  const int pairs = params.angles.pairs;
  const int64_t head_width = params.nope_dim + 2 * pairs;
  const float* const q = reinterpret_cast<const float*>(RowOf(params.q, row));
  for (int pair = static_cast<int>(threadIdx.x); pair < pairs; pair += static_cast<int>(blockDim.x)) {
    turns[pair] = TurnOf(params.angles, params.positions[row], pair);
  }
  __syncthreads();
  std::byte* const q_nope = RowOf(params.q_nope, row);
  for (int64_t i = threadIdx.x; i < params.heads * params.nope_dim; i += blockDim.x) {
    PutElement(q_nope, i, params.q_nope.bf16, q[i / params.nope_dim * head_width + i % params.nope_dim]);
  }
  std::byte* const q_rope = RowOf(params.q_rope, row);
  for (int64_t i = threadIdx.x; i < params.heads * pairs; i += blockDim.x) {
    const int64_t head = i / pairs;
    const int pair = static_cast<int>(i % pairs);
    RotatePair(params.angles, turns[pair], pair, q + head * head_width + params.nope_dim, q_rope, head * 2 * pairs, params.q_rope.bf16);
  }
}

ATOLL_KERNEL(WriteKeyRows, WriteKeysParams) {
  const int64_t row = blockIdx.x;
  const float* const kv = reinterpret_cast<const float*>(RowOf(params.kv_a, row));
  std::byte* const key = params.key_rows[row];
  const float r = InverseRms(kv, params.latent_dim, params.latent_eps);
  for (int64_t i = threadIdx.x; i < params.latent_dim; i += blockDim.x) PutElement(key, i, params.bf16, (kv[i] * r) * params.latent_weight[i]);
  for (int pair = static_cast<int>(threadIdx.x); pair < params.angles.pairs; pair += static_cast<int>(blockDim.x)) {
    const Turn turn = TurnOf(params.angles, params.positions[row], pair);
    RotatePair(params.angles, turn, pair, kv + params.latent_dim, key, params.latent_dim, params.bf16);
  }
}

}  // namespace atoll::kernels
