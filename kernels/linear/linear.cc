#include "kernels/linear/linear.h"

#include <algorithm>
#include <string>

#include "kernels/linear/block_plan.h"
#include "kernels/linear/panel_run.h"

namespace atoll::kernels {
namespace {

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

void RunRegion(const Context& context, std::span<const LinearTask> tasks) {
  BlockPlan plan(Threads(context));
  for (const LinearTask& task : tasks) plan.CountPanels(task.x.rows, task.weights.panels);
  for (const LinearTask& task : tasks) plan.Add(task.x.rows, task.weights.panels);
  const PanelFunction panel_function = ChoosePanel(context.isa);
  ParallelFor(context, plan.blocks(), [&](int64_t number, int) {
    const BlockPlan::Block block = plan.At(number);
    const LinearTask& task = tasks[block.task];
    PanelRun run = MakePanelRun(task.weights, block.panel, task.x.Rows(block.row0, block.rows), nullptr,
                                ColumnsFrom(task.y.Rows(block.row0, block.rows), PanelOutputs(task.weights, block.panel).first));
    run.add = task.mode == LinearMode::kAdd;
    panel_function(run);
  });
}

}  // namespace

PanelRun MakePanelRun(const PackedMatrix& weights, int64_t panel, const ConstMatrixView& x, const int32_t* x_rows, const MatrixView& y_panel) {
  const char* const at = reinterpret_cast<const char*>(weights.data) + panel * weights.panel_bytes;
  return {.weight_dtype = weights.dtype, .x_dtype = x.dtype, .y_dtype = y_panel.dtype, .add = false,
          .weights = at + weights.head_bytes, .heads = reinterpret_cast<const KBlockHead*>(at),
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
  for (size_t first = 0; first < tasks.size(); first += BlockPlan::kTasksMax) {
    RunRegion(context, tasks.subspan(first, std::min<size_t>(BlockPlan::kTasksMax, tasks.size() - first)));
  }
  return {};
}

KernelError Linear(const Context& context, const PackedMatrix& weights, const ConstMatrixView& x, const MatrixView& y, LinearMode mode) {
  const LinearTask task{weights, x, y, mode};
  return LinearBatch(context, {&task, 1});
}

}  // namespace atoll::kernels
