// What the instruction sets' panels share: how groups of rows meet a panel's blocks by multiply-add.
// Included by the instruction-set files of linear only, each of which gets its own copy in an unnamed namespace: what is compiled
// there must not be what the linker keeps for code that runs on every host. So no inline function and no std:: here.

#pragma once

#include "kernels/linear/packed_block.h"

namespace atoll::kernels {
namespace {

constexpr int64_t kFmaInputs = 64;   // of one block as float32: 64 x 64 of them are half of a 32 KB cache
constexpr int kGroupRowsMax = 6;

ATOLL_INLINE int64_t GroupCount(int64_t rows, int64_t group_rows) { return (rows + group_rows - 1) / group_rows; }

// How one group of rows meets one block: where its accumulators come from and where they go.
struct TileStep {
  bool from_zero = true;         // else from `acc`
  bool scaled = false;           // total = fma(scale, acc, total); else the accumulators go to `acc`
  float scale = 0.0f;
  float* acc = nullptr;          // [rows of the group, 64]
  float* total = nullptr;        // likewise
};

struct alignas(64) FmaScratch {
  float weights[kFmaInputs * kLanes];       // [inputs in the order of use, 64]
  float x[kGroupRowsMax * kFmaInputs];      // [rows, inputs in the order of use]
  float acc[kPanelRowsMax * kLanes];
  float total[kPanelRowsMax * kLanes];
};

// Any number of rows. The form says how: up to kDirectRowsMax rows decode each block on the way, group by group; more share a block
// that was decoded for all.
template <typename Form>
void FmaRows(const PanelRun& run) {
  using Weights = typename Form::Weights;
  FmaScratch scratch;
  const Weights weights;
  const char* pair = run.weights;
  float* const result = Weights::kScaled ? scratch.total : scratch.acc;
  __builtin_memset(result, 0, run.rows * kLanes * sizeof(float));
  const bool direct = run.rows <= Form::kDirectRowsMax;
  const int64_t groups = GroupCount(run.rows, direct ? Form::kDirectGroupRowsMax : kGroupRowsMax);
  for (int64_t k = 0, length = 0, number = 0; k < run.inputs; k += length, ++number) {
    length = BlockLength<Weights>(run, k);
    for (int64_t i = 0; i < length; i += kFmaInputs) {
      const int64_t inputs = length - i < kFmaInputs ? length - i : kFmaInputs;
      const PackedBlock block{pair, (inputs + 1) / 2, RareOf<Weights>(run, number, i / 2)};
      pair += block.count * Weights::kPairBytes;
      if (!direct) Form::Decode(weights, block, scratch.weights);
      for (int64_t group = 0; group < groups; ++group) {
        const int64_t row0 = run.rows * group / groups, row1 = run.rows * (group + 1) / groups;
        for (int64_t row = row0; row < row1; ++row) {
          Form::Convert(RowOf(run, row) + (k + i) * Form::kXBytes, inputs, scratch.x + (row - row0) * kFmaInputs);
        }
        const TileStep step{.from_zero = Weights::kScaled && i == 0, .scaled = Weights::kScaled && i + inputs == length,
                            .scale = ScaleOf<Weights>(run, number), .acc = scratch.acc + row0 * kLanes, .total = scratch.total + row0 * kLanes};
        const int rows = static_cast<int>(row1 - row0);
        if constexpr (Form::kDirectRowsMax > 0) {
          if (direct) {
            Form::Direct(rows, weights, block, scratch.x, step);
            continue;
          }
        }
        Form::Tile(rows, scratch, 2 * block.count, group == 0 ? pair : nullptr, step);
      }
    }
  }
  for (int64_t row = 0; row < run.rows; ++row) Form::Store(run, row, result + row * kLanes);
}

}  // namespace
}  // namespace atoll::kernels
