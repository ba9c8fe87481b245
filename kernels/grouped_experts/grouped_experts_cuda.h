#pragma once

// SwiGLU experts over rows grouped by expert, on a device (grouped_experts.h). All addresses, those in the groups too, lie in device memory.
//
// Numerics: gate, up and down as in linear_cuda.h (tensor cores with four warps along the outputs), silu as in swiglu.h, roundings as in grouped_experts.h. A result depends on its own row
// and expert alone.

#include "base/matrix_view.h"
#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/grouped_experts/grouped_experts.h"
#include "kernels/linear/device_weights.h"

namespace atoll::kernels {

// One head each, all of one type; in device memory, so that a captured graph can meet other experts.
struct DeviceExpertGroup {
  DeviceWeights gate = {};        // [intermediate, hidden]
  DeviceWeights up = {};          // [intermediate, hidden]
  DeviceWeights down = {};        // [hidden, intermediate]
  int64_t first_pair = 0;    // its pairs are [first_pair, first_pair + pair_count)
  int64_t pair_count = 0;
};

struct DeviceExpertsArgs {
  std::span<const DeviceExpertGroup> groups = {};   // as CheckDeviceGroups wants them
  DType weight_dtype = DType::kF8E4M3;         // of all groups
  int64_t intermediate = 0;                    // of all groups
  ConstMatrixView x = {};                           // [rows, hidden] bf16 or float32
  std::span<const int32_t> pair_row = {};           // [pairs]: the row of x of each pair; empty: pair p reads row p
  MatrixView out = {};                              // [pairs, hidden] bf16 or float32
  MatrixView products = {};                         // [pairs at least, intermediate], the type of x: workspace for h
  bool tensor = false;                         // TensorExperts of all groups
};

// Whether a group's weights go to the tensor cores (linear/tensor_space.h). All groups of a call must agree.
bool TensorExperts(const DeviceExpertGroup& group);

// What the host must have checked of the groups before they went to the device, and of pair_row: shapes and order as in grouped_experts.h.
KernelError CheckDeviceGroups(std::span<const DeviceExpertGroup> groups, std::span<const int32_t> pair_row, const DeviceExpertsArgs& args);

KernelError RunExperts(DeviceStream& stream, const DeviceExpertsArgs& args);

struct GroupedExpertsParams {
  DevicePtr<const DeviceExpertGroup> groups = {};
  int64_t group_count = 0;
  DevicePtr<const int32_t> pair_row = {};   // null: pair p reads row p
  DeviceOperand x = {}, products = {}, out = {};
};
// Of each weight type: h, and the results. bf16 x and weights of the tensor cores take the second list, by rows of a tile.
ATOLL_DECLARE_KERNEL(ExpertProductsE4M3, 128, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(ExpertResultsE4M3, 128, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(ExpertProductsBf16, 128, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(ExpertResultsBf16, 128, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(ExpertProductsF32, 128, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(ExpertResultsF32, 128, GroupedExpertsParams);

ATOLL_DECLARE_KERNEL(TensorProductsE4M3R16, 256, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(TensorProductsE4M3R64, 256, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(TensorResultsE4M3R16, 256, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(TensorResultsE4M3R64, 256, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(TensorProductsBf16R16, 256, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(TensorProductsBf16R64, 256, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(TensorResultsBf16R16, 256, GroupedExpertsParams);
ATOLL_DECLARE_KERNEL(TensorResultsBf16R64, 256, GroupedExpertsParams);

}  // namespace atoll::kernels
