#include "kernels/grouped_experts/grouped_experts.h"

#include <algorithm>
#include <string>

#include "kernels/linear/block_plan.h"
#include "kernels/linear/panel_run.h"
#include "kernels/swiglu/swiglu.h"

namespace atoll::kernels {
namespace {

constexpr int64_t kProductPadding = 32;   // elements, so that the rows of a group do not all fall into one set of the cache

std::string Shape(const PackedMatrix& m) { return "[" + std::to_string(m.outputs) + ", " + std::to_string(m.inputs) + "]"; }

bool IsActivation(DType dtype) { return dtype == DType::kBF16 || dtype == DType::kF32; }

KernelError CheckOperands(const ConstMatrixView& x, std::span<const int32_t> pair_row, const MatrixView& out, int64_t pairs_max) {
  if (!IsActivation(x.dtype) || !IsActivation(out.dtype)) {
    return Unsupported(std::string("x and out of grouped experts must be bfloat16 or float32, found ") + DTypeName(x.dtype) + " and " +
                       DTypeName(out.dtype));
  }
  if (out.rows > pairs_max) {
    return InvalidShape("at most " + std::to_string(pairs_max) + " pairs fit into this workspace, found " + std::to_string(out.rows));
  }
  if (x.rows < 0 || out.rows < 0 || (x.rows > 1 && x.stride < x.cols) || (out.rows > 1 && out.stride < out.cols)) {
    return InvalidShape("row strides " + std::to_string(x.stride) + " of x and " + std::to_string(out.stride) + " of out are shorter than their rows");
  }
  const int64_t named = pair_row.empty() ? x.rows : static_cast<int64_t>(pair_row.size());
  if (named != out.rows) {
    return InvalidShape("there must be a row of x for each of " + std::to_string(out.rows) + " pairs, found " + std::to_string(named));
  }
  for (size_t pair = 0; pair < pair_row.size(); ++pair) {
    if (pair_row[pair] >= 0 && pair_row[pair] < x.rows) continue;
    return InvalidShape("pair " + std::to_string(pair) + " reads row " + std::to_string(pair_row[pair]) + " of " + std::to_string(x.rows));
  }
  return {};
}

KernelError CheckGroup(const ExpertGroup& group, int64_t number, int64_t hidden_in, int64_t hidden_out) {
  const PackedMatrix &gate = group.gate, &up = group.up, &down = group.down;
  const bool fits = gate.inputs == hidden_in && up.inputs == hidden_in && up.outputs == gate.outputs && down.inputs == gate.outputs &&
                    down.outputs == hidden_out;
  if (fits && gate.first_outputs == up.first_outputs && gate.panels == up.panels) return {};
  return InvalidShape("gate " + Shape(gate) + ", up " + Shape(up) + " and down " + Shape(down) + " of expert group " +
                      std::to_string(number) + " do not fit rows of " + std::to_string(hidden_in) + " and results of " +
                      std::to_string(hidden_out));
}

KernelError CheckGroups(std::span<const ExpertGroup> groups, const ConstMatrixView& x, const MatrixView& out, int64_t intermediate_max) {
  int64_t end = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    const ExpertGroup& group = groups[i];
    ATOLL_RETURN_IF_KERNEL_ERROR(CheckGroup(group, static_cast<int64_t>(i), x.cols, out.cols));
    if (group.gate.outputs > intermediate_max) {
      return InvalidShape("experts at most " + std::to_string(intermediate_max) + " wide fit into this workspace, found " +
                          std::to_string(group.gate.outputs));
    }
    if (group.pair_count < 0 || group.first_pair < end || group.first_pair > out.rows || group.pair_count > out.rows - group.first_pair) {
      return InvalidShape("expert group " + std::to_string(i) + " wants " + std::to_string(group.pair_count) + " pairs from " +
                          std::to_string(group.first_pair) + " on, but they begin at " + std::to_string(end) + " and end at " +
                          std::to_string(out.rows));
    }
    end = group.first_pair + group.pair_count;
  }
  return {};
}

// Everything that the blocks of one call read.
struct Call {
  std::span<const ExpertGroup> groups;
  ConstMatrixView x;
  const int32_t* pair_row = nullptr;   // null: pair p reads row p
  MatrixView products;                 // h [pairs, intermediate]
  MatrixView out;
  PanelFunction panel_function = nullptr;
  SwiGluRow swiglu_row = nullptr;
};

// h of some rows and one panel of gate and up: both finished products stay on the stack, so h needs no pass of its own.
void ComputeProducts(const Call& call, const BlockPlan::Block& block) {
  alignas(64) float gate[kPanelRowsMax * kPanelOutputs];
  alignas(64) float up[kPanelRowsMax * kPanelOutputs];
  const ExpertGroup& group = call.groups[block.task];
  const int64_t first = group.first_pair + block.row0;
  const ConstMatrixView x = call.pair_row == nullptr ? call.x.Rows(first, block.rows) : call.x;
  const int32_t* const x_rows = call.pair_row == nullptr ? nullptr : call.pair_row + first;
  const PanelRange range = PanelOutputs(group.gate, block.panel);
  const auto view = [&](float* data) { return MatrixView{data, DType::kF32, block.rows, kPanelOutputs, kPanelOutputs}; };
  call.panel_function(MakePanelRun(group.gate, block.panel, x, x_rows, view(gate)));
  call.panel_function(MakePanelRun(group.up, block.panel, x, x_rows, view(up)));
  const MatrixView products = ColumnsFrom(call.products.Rows(first, block.rows), range.first);
  for (int64_t r = 0; r < block.rows; ++r) call.swiglu_row(gate + r * kPanelOutputs, up + r * kPanelOutputs, range.width, products.Row(r));
}

void ComputeResults(const Call& call, const BlockPlan::Block& block) {
  const ExpertGroup& group = call.groups[block.task];
  const int64_t first = group.first_pair + block.row0;
  ConstMatrixView products = call.products.Rows(first, block.rows);
  products.cols = group.down.inputs;
  const MatrixView out = ColumnsFrom(call.out.Rows(first, block.rows), PanelOutputs(group.down, block.panel).first);
  call.panel_function(MakePanelRun(group.down, block.panel, products, nullptr, out));
}

// One parallel region over `panels_of` every group.
template <typename PanelsOf, typename Body>
void RunRegion(const Context& context, const Call& call, PanelsOf panels_of, Body body) {
  BlockPlan plan(Threads(context));
  for (const ExpertGroup& group : call.groups) plan.CountPanels(group.pair_count, panels_of(group));
  for (const ExpertGroup& group : call.groups) plan.Add(group.pair_count, panels_of(group));
  ParallelFor(context, plan.blocks(), [&](int64_t number, int) { body(call, plan.At(number)); });
}

}  // namespace

GroupedExperts::GroupedExperts(const GroupedExpertsLimits& limits)
    : limits_(limits),
      product_stride_((limits.intermediate_max + kProductPadding - 1) / kProductPadding * kProductPadding + kProductPadding),
      products_(static_cast<size_t>(limits.pairs_max * product_stride_ * DTypeBytes(DType::kF32))) {}

KernelError GroupedExperts::Run(const Context& context, std::span<const ExpertGroup> groups, const ConstMatrixView& x,
                                std::span<const int32_t> pair_row, const MatrixView& out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckOperands(x, pair_row, out, limits_.pairs_max));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckGroups(groups, x, out, limits_.intermediate_max));
  const MatrixView products{products_.data(), x.dtype, out.rows, limits_.intermediate_max, product_stride_};
  for (size_t first = 0; first < groups.size(); first += BlockPlan::kTasksMax) {
    const Call call{.groups = groups.subspan(first, std::min<size_t>(BlockPlan::kTasksMax, groups.size() - first)),
                    .x = x, .pair_row = pair_row.empty() ? nullptr : pair_row.data(), .products = products, .out = out,
                    .panel_function = ChoosePanel(context.isa), .swiglu_row = SwiGluRowOf(context.isa, x.dtype)};
    RunRegion(context, call, [](const ExpertGroup& group) { return group.gate.panels; }, ComputeProducts);
    RunRegion(context, call, [](const ExpertGroup& group) { return group.down.panels; }, ComputeResults);
  }
  return {};
}

}  // namespace atoll::kernels
