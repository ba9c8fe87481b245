// SwiGLU experts over rows grouped by expert.

#include <cstring>

#include "kernels/check/weights.h"
#include "kernels/grouped_experts/grouped_experts_cuda.h"

namespace atoll::kernels::check {
namespace {

using enum Place;

struct ExpertShape {
  int64_t experts, pairs_each, hidden, intermediate;
};

struct Expert {
  std::unique_ptr<CaseWeights> gate, up, down;
};

std::vector<Expert> MakeExperts(CaseMaker& maker, OpCase& made, const ExpertShape& shape) {
  const auto weights = [&](int64_t outputs, int64_t inputs) { return std::make_unique<CaseWeights>(maker, made, DType::kF8E4M3, outputs, inputs); };
  std::vector<Expert> experts;
  for (int64_t i = 0; i < shape.experts; ++i) {
    experts.push_back({weights(shape.intermediate, shape.hidden), weights(shape.intermediate, shape.hidden), weights(shape.hidden, shape.intermediate)});
    made.weight_bytes += static_cast<double>(experts.back().gate->bytes() + experts.back().up->bytes() + experts.back().down->bytes());
  }
  return experts;
}

// Both forms of the groups: expert i has the pairs from i * pairs_each on.
struct Groups {
  std::vector<Expert> experts;
  std::vector<ExpertGroup> on_host;
  Array* on_device = nullptr;   // of DeviceExpertGroup
};

std::shared_ptr<Groups> MakeGroups(CaseMaker& maker, OpCase& made, const ExpertShape& shape) {
  auto groups = std::make_shared<Groups>();
  groups->experts = MakeExperts(maker, made, shape);
  groups->on_device = &maker.New(made, shape.experts * static_cast<int64_t>(sizeof(DeviceExpertGroup)));
  for (int64_t i = 0; i < shape.experts; ++i) {
    const Expert& expert = groups->experts[static_cast<size_t>(i)];
    groups->on_host.push_back({expert.gate->packed(), expert.up->packed(), expert.down->packed(), i * shape.pairs_each, shape.pairs_each});
    const DeviceExpertGroup group = {expert.gate->on_device(), expert.up->on_device(), expert.down->on_device(), i * shape.pairs_each, shape.pairs_each};
    std::memcpy(groups->on_device->At(kHost) + i * static_cast<int64_t>(sizeof(group)), &group, sizeof(group));
  }
  return groups;
}

OpCase ExpertCase(CaseMaker& maker, const ExpertShape& shape) {
  const int64_t pairs = shape.experts * shape.pairs_each, hidden = shape.hidden, intermediate = shape.intermediate;
  OpCase made{.shape = std::to_string(shape.experts) + " x " + std::to_string(intermediate) + " of " + std::to_string(hidden) + " e4m3, " +
                       std::to_string(shape.pairs_each) + " rows each",
              .rows = pairs, .tolerance = 0.03, .row_bytes = static_cast<double>(4 * hidden), .row_flop = 6.0 * static_cast<double>(hidden * intermediate),
              .any_rows = false};
  const std::shared_ptr<Groups> groups = MakeGroups(maker, made, shape);
  const int64_t rows = (pairs + 1) / 2;
  Array& x = maker.NewNormal(made, DType::kBF16, rows * hidden);
  Array& pair_row = maker.New(made, pairs * 4);
  for (int32_t& row : pair_row.Span<int32_t>(kHost)) row = static_cast<int32_t>(maker.random() % static_cast<uint32_t>(rows));
  Array& out = maker.New(made, pairs * hidden * 2);
  Array& products = maker.New(made, pairs * intermediate * 2);
  made.outputs = {{&out, DType::kBF16, hidden}};
  made.on_host = [=, &x, &pair_row, &out, runner = std::make_shared<GroupedExperts>(GroupedExpertsLimits{pairs, intermediate})](const Context& context, int64_t) {
    return runner->Run(context, groups->on_host, x.Matrix(kHost, DType::kBF16, rows, hidden), pair_row.Span<const int32_t>(kHost),
                       out.Matrix(kHost, DType::kBF16, pairs, hidden));
  };
  const bool tensor = maker.device != nullptr && TensorExperts(groups->on_device->Span<DeviceExpertGroup>(kHost)[0]);
  made.on_device = [=, &x, &pair_row, &out, &products](DeviceStream& stream, int64_t) {
    return RunExperts(stream, {.groups = groups->on_device->Span<const DeviceExpertGroup>(kDevice), .weight_dtype = DType::kF8E4M3, .intermediate = intermediate,
                               .x = x.Matrix(kDevice, DType::kBF16, rows, hidden), .pair_row = pair_row.Span<const int32_t>(kDevice),
                               .out = out.Matrix(kDevice, DType::kBF16, pairs, hidden), .products = products.Matrix(kDevice, DType::kBF16, pairs, intermediate), .tensor = tensor});
  };
  return made;
}

}  // namespace

void AddExpertCases(bool family, Cases& cases) {
  const std::vector<ExpertShape> whole = {{8, 1, 7168, 2048}, {8, 16, 7168, 2048}, {8, 64, 7168, 2048}, {2, 16, 7168, 2048}};
  const std::vector<ExpertShape> small = {{4, 1, 256, 64}, {3, 17, 256, 64}, {1, 40, 256, 512}};
  for (const ExpertShape& shape : family ? whole : small) cases.push_back({"grouped_experts", [=](CaseMaker& maker) { return ExpertCase(maker, shape); }});
}

}  // namespace atoll::kernels::check
