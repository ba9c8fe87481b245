#include "kernels/linear/linear.h"

#include <algorithm>
#include <array>
#include <string>

#include "kernels/linear/panel_run.h"

namespace atoll::kernels {
namespace {

constexpr int64_t kTasksMax = 512;        // of one parallel region; more are done in several
constexpr int64_t kBlocksPerThread = 4;   // fewer, and rows are cut too, so that no thread waits long for the last block
constexpr int64_t kRowsMin = 24;          // of such a cut: below it decoding the weights again costs more than it gains

std::string Shape(int64_t rows, int64_t cols) { return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]"; }

KernelError Check(const LinearTask& task) {
  const PackedMatrix& w = task.weights;
  if (task.x.cols != w.inputs || task.y.cols != w.outputs || task.x.rows != task.y.rows || task.x.rows < 0) {
    return InvalidShape("weights " + Shape(w.outputs, w.inputs) + " do not fit x " + Shape(task.x.rows, task.x.cols) + " and y " +
                        Shape(task.y.rows, task.y.cols));
  }
  if (task.x.rows > 1 && (task.x.stride < task.x.cols || task.y.stride < task.y.cols)) {
    return InvalidShape("row strides " + std::to_string(task.x.stride) + " of x and " + std::to_string(task.y.stride) +
                        " of y are shorter than their rows");
  }
  const auto known = [](DType dtype) { return dtype == DType::kBF16 || dtype == DType::kF32; };
  if (!known(task.x.dtype) || !known(task.y.dtype)) {
    return Unsupported(std::string("x and y of a linear op must be bfloat16 or float32, found ") + DTypeName(task.x.dtype) + " and " +
                       DTypeName(task.y.dtype));
  }
  if (task.mode == LinearMode::kAdd && task.y.dtype != DType::kF32) return Unsupported("a linear op adds to float32 only");
  return {};
}

struct Cut {
  int64_t tiles = 0;        // of rows
  int64_t first_block = 0;  // of this task among those of the region
};

// Block b of a task: panel b / tiles, tile b % tiles, so that a panel's tiles follow each other while it is in the cache.
void RunBlock(PanelFunction panel_function, const LinearTask& task, int64_t tiles, int64_t block) {
  const int64_t panel = block / tiles, tile = block % tiles;
  const int64_t row0 = task.x.rows * tile / tiles, row1 = task.x.rows * (tile + 1) / tiles;
  PanelRun run = MakePanelRun(task.weights, panel, task.x.Rows(row0, row1 - row0), nullptr,
                              ColumnsFrom(task.y.Rows(row0, row1 - row0), PanelOutputs(task.weights, panel).first));
  run.add = task.mode == LinearMode::kAdd;
  panel_function(run);
}

int64_t Tiles(int64_t rows, int64_t panels, int threads) {
  int64_t tiles = (rows + kPanelRowsMax - 1) / kPanelRowsMax;
  if (threads > 1) {
    const int64_t wanted = (threads * kBlocksPerThread + panels - 1) / std::max<int64_t>(panels, 1);
    tiles = std::max(tiles, std::min(wanted, rows / kRowsMin));
  }
  return tiles;
}

void RunRegion(const Context& context, std::span<const LinearTask> tasks) {
  std::array<Cut, kTasksMax> cuts;
  int64_t panels = 0, blocks = 0;
  for (const LinearTask& task : tasks) panels += task.x.rows > 0 ? task.weights.panels : 0;
  for (size_t i = 0; i < tasks.size(); ++i) {
    cuts[i] = {Tiles(tasks[i].x.rows, panels, Threads(context)), blocks};
    blocks += cuts[i].tiles * tasks[i].weights.panels;
  }
  const PanelFunction panel_function = ChoosePanel(context.isa);
  ParallelFor(context, blocks, [&](int64_t block, int) {
    const auto after = std::upper_bound(cuts.begin(), cuts.begin() + tasks.size(), block,
                                        [](int64_t b, const Cut& cut) { return b < cut.first_block; });
    const size_t i = after - cuts.begin() - 1;
    RunBlock(panel_function, tasks[i], cuts[i].tiles, block - cuts[i].first_block);
  });
}

}  // namespace

PanelRun MakePanelRun(const PackedMatrix& weights, int64_t panel, const ConstMatrixView& x, const int32_t* x_rows, const MatrixView& y_panel) {
  const char* const at = reinterpret_cast<const char*>(weights.data) + panel * weights.panel_bytes;
  return {.weight_dtype = weights.dtype, .x_dtype = x.dtype, .y_dtype = y_panel.dtype, .add = false,
          .weights = at + weights.scale_bytes, .scales = reinterpret_cast<const float*>(at),
          .inputs = weights.inputs, .first_inputs = weights.first_inputs,
          .width = PanelOutputs(weights, panel).width, .rows = y_panel.rows,
          .x = static_cast<const char*>(x.data), .x_stride = x.stride * DTypeBytes(x.dtype), .x_rows = x_rows,
          .y = static_cast<char*>(y_panel.data), .y_stride = y_panel.stride * DTypeBytes(y_panel.dtype)};
}

PanelFunction ChoosePanel(Isa isa) {
  switch (isa) {
    case Isa::kReference: return PanelReference;
    case Isa::kAvx2: return PanelAvx2;
    case Isa::kAvx512: return HostHasVbmi() ? PanelAvx512Vbmi : PanelAvx512;
    case Isa::kAvx512Bf16: return PanelAvx512Bf16;
  }
  return PanelReference;
}

KernelError LinearBatch(const Context& context, std::span<const LinearTask> tasks) {
  for (const LinearTask& task : tasks) ATOLL_RETURN_IF_KERNEL_ERROR(Check(task));
  for (size_t first = 0; first < tasks.size(); first += kTasksMax) {
    RunRegion(context, tasks.subspan(first, std::min<size_t>(kTasksMax, tasks.size() - first)));
  }
  return {};
}

KernelError Linear(const Context& context, const PackedMatrix& weights, const ConstMatrixView& x, const MatrixView& y, LinearMode mode) {
  const LinearTask task{weights, x, y, mode};
  return LinearBatch(context, {&task, 1});
}

}  // namespace atoll::kernels
