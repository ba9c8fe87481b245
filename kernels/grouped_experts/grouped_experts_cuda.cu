#include "kernels/cuda/device_code.h"
#include "kernels/grouped_experts/grouped_experts_cuda.h"
#include "kernels/grouped_experts/pair_tiles.h"
#include "kernels/linear/warp_dots.h"
#include "kernels/swiglu/swiglu_device.h"

namespace atoll::kernels {
namespace {

struct ResultPlace {
  int64_t row;      // of the tile
  int64_t output;
  bool there;
};

ATOLL_DEVICE ResultPlace PlaceOf(int64_t first_output, int64_t outputs, int64_t rows) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const ResultPlace place = {lane % kManyRows, first_output + lane / kManyRows, true};
  return {place.row, place.output, lane < kWarpOutputs * kManyRows && place.output < outputs && place.row < rows};
}

ATOLL_DEVICE int64_t FirstOutputOfWarp() { return int64_t{blockIdx.x} * kBlockOutputs + threadIdx.x / kWarpLanes * kWarpOutputs; }

template <typename Weight>
ATOLL_DEVICE void ProductsBlock(const GroupedExpertsParams& params) {
  ATOLL_SHARED(float, x, kManyRows * kChunkInputs);
  ATOLL_SHARED(float, totals, kDotWarps * kWarpLanes * kTreeStride);
  const DotSpace<kManyRows> space = {reinterpret_cast<float (*)[kChunkInputs]>(x), totals};
  const PairTile tile = FindTile<kManyRows>(params, blockIdx.y);
  if (tile.group == nullptr) return;
  const DotRows rows = RowsOfX(params, tile);
  const int64_t first_output = FirstOutputOfWarp();
  const float gate = WarpDots<Weight, kManyRows>(tile.group->gate, 0, first_output, rows, space);
  const float up = WarpDots<Weight, kManyRows>(tile.group->up, 0, first_output, rows, space);
  const ResultPlace place = PlaceOf(first_output, tile.group->gate.outputs, tile.rows);
  if (place.there) PutElement(RowOf(params.products, tile.first_pair + place.row), place.output, params.products.bf16, SwiGluProduct(gate, up));
}

template <typename Weight>
ATOLL_DEVICE void ResultsBlock(const GroupedExpertsParams& params) {
  ATOLL_SHARED(float, x, kManyRows * kChunkInputs);
  ATOLL_SHARED(float, totals, kDotWarps * kWarpLanes * kTreeStride);
  const DotSpace<kManyRows> space = {reinterpret_cast<float (*)[kChunkInputs]>(x), totals};
  const PairTile tile = FindTile<kManyRows>(params, blockIdx.y);
  if (tile.group == nullptr) return;
  const DotRows rows = RowsOfProducts(params, tile);
  const int64_t first_output = FirstOutputOfWarp();
  const float result = WarpDots<Weight, kManyRows>(tile.group->down, 0, first_output, rows, space);
  const ResultPlace place = PlaceOf(first_output, tile.group->down.outputs, tile.rows);
  if (place.there) PutElement(RowOf(params.out, tile.first_pair + place.row), place.output, params.out.bf16, result);
}

}  // namespace

ATOLL_KERNEL(ExpertProductsE4M3, GroupedExpertsParams) { ProductsBlock<E4M3>(params); }
ATOLL_KERNEL(ExpertResultsE4M3, GroupedExpertsParams) { ResultsBlock<E4M3>(params); }
ATOLL_KERNEL(ExpertProductsBf16, GroupedExpertsParams) { ProductsBlock<BFloat16>(params); }
ATOLL_KERNEL(ExpertResultsBf16, GroupedExpertsParams) { ResultsBlock<BFloat16>(params); }
ATOLL_KERNEL(ExpertProductsF32, GroupedExpertsParams) { ProductsBlock<float>(params); }
ATOLL_KERNEL(ExpertResultsF32, GroupedExpertsParams) { ResultsBlock<float>(params); }

}  // namespace atoll::kernels
