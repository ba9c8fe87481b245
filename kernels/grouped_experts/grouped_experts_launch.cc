#include <algorithm>
#include <string>

#include "kernels/cuda/reach.h"
#include "kernels/expect.h"
#include "kernels/grouped_experts/grouped_experts_cuda.h"
#include "kernels/linear/linear_cuda.h"
#include "kernels/linear/tensor_space.h"

namespace atoll::kernels {

namespace {

// Both kernels of a call and what their blocks compute.
struct ExpertKernels {
  const DeviceKernel<GroupedExpertsParams>& products;
  const DeviceKernel<GroupedExpertsParams>& results;
  int64_t product_outputs, result_outputs, rows;
  int64_t shared_bytes = 0;
};

ExpertKernels PlainKernels(DType weights) {
  constexpr int64_t kOutputs = kBlockOutputs, kRows = kManyRows;
  switch (weights) {
    case DType::kF8E4M3: return {kExpertProductsE4M3, kExpertResultsE4M3, kOutputs, kOutputs, kRows};
    case DType::kBF16: return {kExpertProductsBf16, kExpertResultsBf16, kOutputs, kOutputs, kRows};
    default: return {kExpertProductsF32, kExpertResultsF32, kOutputs, kOutputs, kRows};
  }
}

// Small tiles while groups are small on average; a large group then takes several.
ExpertKernels TensorKernels(DType weights, int64_t pairs, int64_t groups) {
  constexpr int64_t kOutputs = kExpertWarpsN * kWarpOutputRows;
  const int64_t rows = pairs <= 16 * groups ? 16 : 64, shared = TensorSharedBytes(DTypeBytes(weights), kExpertWarpsN, rows);
  if (weights == DType::kF8E4M3) {
    if (rows == 16) return {kTensorProductsE4M3R16, kTensorResultsE4M3R16, kOutputs / 2, kOutputs, rows, shared};
    return {kTensorProductsE4M3R64, kTensorResultsE4M3R64, kOutputs / 2, kOutputs, rows, shared};
  }
  if (rows == 16) return {kTensorProductsBf16R16, kTensorResultsBf16R16, kOutputs / 2, kOutputs, rows, shared};
  return {kTensorProductsBf16R64, kTensorResultsBf16R64, kOutputs / 2, kOutputs, rows, shared};
}

KernelError CheckGroup(const DeviceExpertGroup& group, int64_t number, const DeviceExpertsArgs& args) {
  const auto fits = [&](const DeviceWeights& weights, int64_t outputs, int64_t inputs) {
    return weights.dtype == args.weight_dtype && weights.heads == 1 && weights.outputs == outputs && weights.inputs == inputs;
  };
  if (TensorExperts(group) != args.tensor) {
    return InvalidShape("expert group " + std::to_string(number) + (args.tensor ? " cannot" : " can") + " go to the tensor cores, other than was said of all");
  }
  if (fits(group.gate, args.intermediate, args.x.cols) && fits(group.up, args.intermediate, args.x.cols) &&
      fits(group.down, args.out.cols, args.intermediate)) {
    return {};
  }
  return InvalidShape("gate, up and down of expert group " + std::to_string(number) + " do not fit rows of " + std::to_string(args.x.cols) +
                      ", experts " + std::to_string(args.intermediate) + " wide and results of " + std::to_string(args.out.cols) + " of " +
                      DTypeName(args.weight_dtype) + " weights");
}

KernelError CheckPairRow(std::span<const int32_t> pair_row, int64_t rows) {
  for (size_t pair = 0; pair < pair_row.size(); ++pair) {
    if (pair_row[pair] >= 0 && pair_row[pair] < rows) continue;
    return InvalidShape("pair " + std::to_string(pair) + " reads row " + std::to_string(pair_row[pair]) + " of " + std::to_string(rows));
  }
  return {};
}

KernelError CheckShapes(const DeviceExpertsArgs& args) {
  const int64_t pairs = args.out.rows;
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("the experts' x", args.x, Dtypes::kF32OrBF16, args.x.rows, args.x.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("the experts' out", args.out, Dtypes::kF32OrBF16, pairs, args.out.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("the experts' products", args.products, Dtypes::kF32OrBF16, args.products.rows, args.intermediate));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(args.products.rows >= pairs && args.products.dtype == args.x.dtype,
                                          "the experts' products must have a row per pair, of the type of x"));
  return ExpectSize("the experts' pair_row", args.pair_row.empty() ? static_cast<size_t>(args.x.rows) : args.pair_row.size(), pairs);
}

}  // namespace

bool TensorExperts(const DeviceExpertGroup& group) {
  return TensorWeights(group.gate) && TensorWeights(group.up) && TensorWeights(group.down);
}

KernelError CheckDeviceGroups(std::span<const DeviceExpertGroup> groups, std::span<const int32_t> pair_row, const DeviceExpertsArgs& args) {
  int64_t end = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    const DeviceExpertGroup& group = groups[i];
    ATOLL_RETURN_IF_KERNEL_ERROR(CheckGroup(group, static_cast<int64_t>(i), args));
    if (group.pair_count < 0 || group.first_pair < end || group.first_pair > args.out.rows || group.pair_count > args.out.rows - group.first_pair) {
      return InvalidShape("expert group " + std::to_string(i) + " wants " + std::to_string(group.pair_count) + " pairs from " +
                          std::to_string(group.first_pair) + " on, but they begin at " + std::to_string(end) + " and end at " +
                          std::to_string(args.out.rows));
    }
    end = group.first_pair + group.pair_count;
  }
  return CheckPairRow(pair_row, args.x.rows);
}

KernelError RunExperts(DeviceStream& stream, const DeviceExpertsArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckShapes(args));
  if (args.out.rows == 0 || args.groups.empty()) return {};
  GroupedExpertsParams params = {.group_count = static_cast<int64_t>(args.groups.size())};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "the expert groups", args.groups, &params.groups));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "the experts' pair_row", args.pair_row, &params.pair_row));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "the experts' x", args.x, &params.x));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "the experts' products", args.products, &params.products));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "the experts' out", args.out, &params.out));
  const bool tensor = args.tensor && args.x.dtype == DType::kBF16;
  const ExpertKernels kernels = tensor ? TensorKernels(args.weight_dtype, args.out.rows, params.group_count) : PlainKernels(args.weight_dtype);
  // Whole tiles of all pairs, and at most one more per group that is not whole.
  const int64_t tiles = args.out.rows / kernels.rows + std::min<int64_t>(params.group_count, args.out.rows);
  const auto shape = [&](int64_t outputs, int64_t block_outputs) {
    return LaunchShape{.grid = {BlocksOf(outputs, block_outputs), static_cast<uint32_t>(tiles)}, .block = {kernels.products.threads_max},
                       .shared_bytes = kernels.shared_bytes};
  };
  ATOLL_RETURN_IF_KERNEL_ERROR(stream.Launch(kernels.products, shape(args.intermediate, kernels.product_outputs), params));
  return stream.Launch(kernels.results, shape(args.out.cols, kernels.result_outputs), params);
}

}  // namespace atoll::kernels
