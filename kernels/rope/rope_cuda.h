#pragma once

// Rotary embedding and key rows on a device (rope.h): the rotation in rope.h's order, so the CPU's bits; the latent part is RmsNorm as in
// rms_norm_cuda.h. All addresses, those in key_rows too, lie in device memory; positions must lie in the table, which the host cannot see.

#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/rope/rope.h"

namespace atoll::kernels {

// A table of at most kDeviceRopePairs pairs.
KernelError RotateQueries(DeviceStream& stream, const RopeTable& table, const RotateQueriesArgs& args);
KernelError WriteKeys(DeviceStream& stream, const RopeTable& table, const WriteKeysArgs& args);

inline constexpr int64_t kDeviceRopePairs = 256;

struct DeviceRopeAngles {
  float frequencies[kDeviceRopePairs] = {};
  int32_t pairs = 0;
  float magnitude = 1;
  bool interleaved = true;
};

struct RotateQueriesParams {
  DeviceRopeAngles angles = {};
  DeviceOperand q = {};
  DevicePtr<const int32_t> positions = {};
  int64_t heads = 0;
  int64_t nope_dim = 0;
  DeviceOperand q_nope = {}, q_rope = {};
};
ATOLL_DECLARE_KERNEL(RotateQueryRows, 256, RotateQueriesParams);

struct WriteKeysParams {
  DeviceRopeAngles angles = {};
  DeviceOperand kv_a = {};
  DevicePtr<const int32_t> positions = {};
  DevicePtr<const float> latent_weight = {};
  int64_t latent_dim = 0;
  float latent_eps = 0;
  bool bf16 = true;
  DevicePtr<std::byte* const> key_rows = {};
};
ATOLL_DECLARE_KERNEL(WriteKeyRows, 128, WriteKeysParams);

}  // namespace atoll::kernels
