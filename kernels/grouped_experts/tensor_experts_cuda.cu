#include "kernels/cuda/device_code.h"
#include "kernels/grouped_experts/pair_tiles.h"
#include "kernels/linear/tensor_dots.h"
#include "kernels/swiglu/swiglu_device.h"

namespace atoll::kernels {
namespace {

template <typename Weight, int kRows>
using ExpertTile = TensorTile<Weight, kExpertWarpsN, kRows>;

// Block (x, y): half of its outputs from gate, half the same ones from up; tile y of the pairs.
template <typename T>
ATOLL_DEVICE void ProductsBlock(const GroupedExpertsParams& params) {
  ATOLL_DYNAMIC_SHARED(memory);
  constexpr int kHalf = T::kOutputs / 2;
  const PairTile tile = FindTile<T::kRows>(params, blockIdx.y);
  if (tile.group == nullptr) return;
  const DeviceWeights &gate = tile.group->gate, &up = tile.group->up;
  const int64_t first_output = int64_t{blockIdx.x} * kHalf, outputs = gate.outputs - first_output;
  const WeightRows<2> of = {{RowsFrom(gate, gate.first_row + first_output, outputs), RowsFrom(up, up.first_row + first_output, outputs)}};
  TensorDots<T>(of, RowsOfX(params, tile), gate.inputs, memory);
  for (int i = static_cast<int>(threadIdx.x); i < kHalf * T::kRows; i += kTensorThreads) {
    const int output = i % kHalf, row = i / kHalf;
    if (output >= outputs || row >= tile.rows) continue;
    const float product = SwiGluProduct(ProductAt<T>(memory, row, output), ProductAt<T>(memory, row, kHalf + output));
    PutElement(RowOf(params.products, tile.first_pair + row), first_output + output, params.products.bf16, product);
  }
}

template <typename T>
ATOLL_DEVICE void ResultsBlock(const GroupedExpertsParams& params) {
  ATOLL_DYNAMIC_SHARED(memory);
  const PairTile tile = FindTile<T::kRows>(params, blockIdx.y);
  if (tile.group == nullptr) return;
  const DeviceWeights& down = tile.group->down;
  const int64_t first_output = int64_t{blockIdx.x} * T::kOutputs, outputs = down.outputs - first_output;
  const WeightRows<1> of = {{RowsFrom(down, down.first_row + first_output, outputs)}};
  TensorDots<T>(of, RowsOfProducts(params, tile), down.inputs, memory);
  for (int i = static_cast<int>(threadIdx.x); i < T::kOutputs * T::kRows; i += kTensorThreads) {
    const int output = i % T::kOutputs, row = i / T::kOutputs;
    if (output >= outputs || row >= tile.rows) continue;
    PutElement(RowOf(params.out, tile.first_pair + row), first_output + output, params.out.bf16, ProductAt<T>(memory, row, output));
  }
}

}  // namespace

ATOLL_KERNEL(TensorProductsE4M3R16, GroupedExpertsParams) { ProductsBlock<ExpertTile<E4M3, 16>>(params); }
ATOLL_KERNEL(TensorProductsE4M3R64, GroupedExpertsParams) { ProductsBlock<ExpertTile<E4M3, 64>>(params); }
ATOLL_KERNEL(TensorResultsE4M3R16, GroupedExpertsParams) { ResultsBlock<ExpertTile<E4M3, 16>>(params); }
ATOLL_KERNEL(TensorResultsE4M3R64, GroupedExpertsParams) { ResultsBlock<ExpertTile<E4M3, 64>>(params); }
ATOLL_KERNEL(TensorProductsBf16R16, GroupedExpertsParams) { ProductsBlock<ExpertTile<BFloat16, 16>>(params); }
ATOLL_KERNEL(TensorProductsBf16R64, GroupedExpertsParams) { ProductsBlock<ExpertTile<BFloat16, 64>>(params); }
ATOLL_KERNEL(TensorResultsBf16R16, GroupedExpertsParams) { ResultsBlock<ExpertTile<BFloat16, 16>>(params); }
ATOLL_KERNEL(TensorResultsBf16R64, GroupedExpertsParams) { ResultsBlock<ExpertTile<BFloat16, 64>>(params); }

}  // namespace atoll::kernels
