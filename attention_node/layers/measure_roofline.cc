#include "attention_node/layers/measure_roofline.h"

#include <algorithm>

#include "attention_node/layers/kernel_call.h"
#include "kernels/cpu/huge_buffer.h"
#include "kernels/grouped_experts/grouped_experts.h"

namespace atoll::attention_node {
namespace {

// Each layer's expert is read once per pass, so that none is found in a cache that it would not be found in when serving.
constexpr size_t kLayersMax = 8;
constexpr int kPasses = 3;
constexpr int64_t kRows = 64;
// How many rows may cost as much as reading an expert, at most: of no machine.
constexpr float kHotRowsMax = 4096;

struct Pass {
  const kernels::Context& context;
  const Clock& clock;
  std::span<const MlpWeights* const> experts;
  MatrixView rows, out;
};

// Microseconds of one expert, of the fastest pass.
float ExpertUs(const Pass& pass, kernels::GroupedExperts& runner, int64_t rows) {
  int64_t best_ns = INT64_MAX;
  for (int i = 0; i < kPasses; ++i) {
    const int64_t begin_ns = pass.clock.NowNs();
    for (const MlpWeights* expert : pass.experts) {
      const kernels::ExpertGroup group{expert->gate, expert->up, expert->down, 0, rows};
      MustRun(runner.Run(pass.context, {&group, 1}, pass.rows.Rows(0, rows), {}, pass.out.Rows(0, rows)), "measuring an expert");
    }
    best_ns = std::min(best_ns, pass.clock.NowNs() - begin_ns);
  }
  return static_cast<float>(best_ns) / 1000 / static_cast<float>(pass.experts.size());
}

}  // namespace

ExpertRoofline MeasureRoofline(const AttentionShard& shard, const kernels::Context& context, DType activation_dtype, const Clock& clock) {
  std::vector<const MlpWeights*> experts;
  for (const LayerWeights& layer : shard.layers)
    if (layer.gate && shard.config.n_shared_experts > 0 && experts.size() < kLayersMax) experts.push_back(&layer.mlp);
  if (experts.empty()) return {};
  const int64_t hidden = shard.config.hidden_size;
  kernels::HugeBuffer in(static_cast<size_t>(kRows * hidden * DTypeBytes(activation_dtype)));
  kernels::HugeBuffer out(static_cast<size_t>(kRows * hidden) * sizeof(float));
  std::fill(in.span().begin(), in.span().end(), std::byte{0});
  kernels::GroupedExperts runner({.pairs_max = kRows, .intermediate_max = experts[0]->gate.outputs});
  const Pass pass{context, clock, experts, {in.data(), activation_dtype, kRows, hidden, hidden}, {out.data(), DType::kF32, kRows, hidden, hidden}};
  if (context.pool != nullptr) context.pool->BeginStage();
  ExpertRoofline roofline;
  roofline.weights_us = std::max(1e-3F, ExpertUs(pass, runner, 1));
  roofline.row_us = std::clamp(ExpertUs(pass, runner, kRows) / kRows, roofline.weights_us / kHotRowsMax, roofline.weights_us);
  if (context.pool != nullptr) context.pool->EndStage();
  return roofline;
}

}  // namespace atoll::attention_node
