#pragma once

// The choice of experts under a routing bias (lossy, opt-in, off unless a view carries an epsilon): the gate without it,
// the view's deltas, the same-batch re-route of near ties, then the weights, which never see any of them. While it is off
// the step pays for one relaxed load per layer.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "attention_node/routing_bias/bias_view.h"
#include "base/matrix_view.h"
#include "kernels/context.h"
#include "kernels/cpu/huge_buffer.h"
#include "kernels/gate_topk/gate_topk.h"
#include "model/config.h"
#include "node/cluster.h"

namespace atoll::attention_node {

class BiasedGate {
 public:
  BiasedGate(const model::ModelConfig& config, int32_t rows_max) : config_(config), rows_max_(rows_max) {}

  // Any thread: the newest view; one with an epsilon above 0 switches the bias on, any other off.
  void SetView(const node::ClusterView& view);
  // Any thread: since the last call.
  node::RoutingBiasCounts TakeCounts();

  // Step thread, as is all below. Whether Choose is to be called in place of the gate.
  bool on() {
    if (changed_.load(std::memory_order_relaxed)) TakeView();
    return view_ != nullptr;
  }
  // GateTopK of these arguments, whose delta, scores and biased are not set, for one micro-batch of a layer.
  kernels::KernelError Choose(const kernels::Context& context, int32_t layer, kernels::GateTopKArgs args);

 private:
  void TakeView();
  void SetRows(int64_t rows);
  kernels::KernelError ApplyDelta(const kernels::Context& context, std::span<const float> delta, const kernels::GateTopKArgs& args);
  void ApplyNearTies(NearTies& near_ties, const kernels::GateTopKArgs& args, node::RoutingBiasCounts& counts);
  void CountChanges(const kernels::GateTopKArgs& args, node::RoutingBiasCounts& counts) const;
  void Count(const node::RoutingBiasCounts& counts);

  const model::ModelConfig config_;
  const int32_t rows_max_;

  std::mutex mutex_;
  std::unique_ptr<BiasView> next_;      // guarded by mutex_
  node::RoutingBiasCounts counts_;      // guarded by mutex_: since TakeCounts
  std::atomic<bool> changed_{false};    // next_ is to be followed, null or not

  std::unique_ptr<BiasView> view_;      // null: off
  node::RoutingBiasCounts window_;      // since the cap was last judged
  kernels::HugeBuffer score_bytes_;     // both matrices, once the bias is on
  MatrixView scores_, biased_;          // [rows_max, experts]
  std::vector<int32_t> unbiased_;       // [rows, experts per token]
  std::vector<int32_t> changed_rows_;
};

}  // namespace atoll::attention_node
