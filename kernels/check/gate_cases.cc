// The choice of experts.

#include "kernels/check/op_case.h"
#include "kernels/gate_topk/gate_topk_cuda.h"

namespace atoll::kernels::check {
namespace {

using enum Place;

OpCase GateCase(CaseMaker& maker, int64_t rows, int64_t experts, const GateParams& params) {
  OpCase made{.shape = std::to_string(experts) + " in " + std::to_string(params.groups) + " groups, " + std::to_string(params.experts_per_token) + " taken",
              .rows = rows, .row_bytes = static_cast<double>(experts * 4 + params.experts_per_token * 8)};
  const int64_t taken = params.experts_per_token;
  Array& logits = maker.NewNormal(made, DType::kF32, rows * experts);
  Array& bias = maker.NewNormal(made, DType::kF32, experts, 0.1f);
  Array& ids = maker.New(made, rows * taken * 4);
  Array& weights = maker.New(made, rows * taken * 4);
  Array& non_finite = maker.New(made, rows);
  made.outputs = {{&ids, DType::kI32, taken}, {&weights, DType::kF32, taken}, {&non_finite, DType::kF8E8M0, 1}};
  const auto args = [&, experts, taken, params](Place place, int64_t count) {
    const auto items = static_cast<size_t>(count * taken);
    return GateTopKArgs{.logits = logits.Matrix(place, DType::kF32, count, experts), .bias = bias.Span<const float>(place), .params = params,
                        .experts = ids.Span<int32_t>(place).first(items), .weights = weights.Span<float>(place).first(items),
                        .non_finite = non_finite.Span<uint8_t>(place).first(static_cast<size_t>(count))};
  };
  made.on_host = [args](const Context& context, int64_t count) { return GateTopK(context, args(kHost, count)); };
  made.on_device = [args](DeviceStream& stream, int64_t count) { return GateTopK(stream, args(kDevice, count)); };
  return made;
}

}  // namespace

void AddGateCases(bool family, Cases& cases) {
  const GateParams whole = {.groups = 8, .groups_kept = 4, .experts_per_token = 8, .scaling = 2.5f};
  const GateParams small = {.groups = 4, .groups_kept = 2, .experts_per_token = 4, .scaling = 1.5f};
  const GateParams one = {.groups = 1, .groups_kept = 1, .experts_per_token = 3, .normalize = false};
  if (family) cases.push_back({"gate_topk", [=](CaseMaker& maker) { return GateCase(maker, 256, 256, whole); }});
  else cases.push_back({"gate_topk", [=](CaseMaker& maker) { return GateCase(maker, 256, 32, small); }});
  cases.push_back({"gate_topk", [=](CaseMaker& maker) { return GateCase(maker, 66, 40, one); }});
}

}  // namespace atoll::kernels::check
