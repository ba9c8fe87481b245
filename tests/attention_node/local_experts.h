#pragma once

// An ExpertExchange that computes the experts at once, in the same thread: the forward pass without a network.

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "attention_node/expert_exchange.h"
#include "kernels/context.h"
#include "kernels/grouped_experts/grouped_experts.h"
#include "model/checkpoint.h"
#include "model/placement.h"
#include "node/packed_shard.h"

namespace atoll::attention_node {

class LocalExperts final : public ExpertExchange {
 public:
  // Loads all routed experts of the main layers.
  static absl::StatusOr<std::unique_ptr<LocalExperts>> Load(const model::Checkpoint& checkpoint, const kernels::Context& context,
                                                            int32_t rows_max);

  void Post(const ExpertDispatch& dispatch) override;
  // As if results came late: a dispatch of micro-batch m is done only after `waits[m]` calls of Wait.
  void SetWaits(std::array<int, kMicroBatchesMax> waits) { waits_ = waits; }
  bool Done(int32_t micro_batch) const override { return waits_left_[micro_batch] <= 0; }
  std::span<const FailedRow> Take(int32_t micro_batch) override { return failed_[micro_batch]; }
  void Wait(std::chrono::nanoseconds) override {
    for (int& left : waits_left_) --left;
    ++wait_calls_;
    if (on_wait) on_wait();
  }
  void Wake() override {}
  int wait_calls() const { return wait_calls_; }

  // Called after each dispatch was computed; may spoil results or fail rows.
  std::function<void(const ExpertDispatch&, std::vector<FailedRow>&)> after_post;
  std::function<void()> on_wait;

 private:
  struct Expert {
    kernels::PackedMatrix gate, up, down;
  };
  LocalExperts(const model::ModelConfig& config, const kernels::Context& context, int32_t rows_max);

  const model::ModelConfig config_;
  const kernels::Context context_;
  std::vector<Expert> experts_;  // [layers, experts]
  node::PackedShard packed_;
  kernels::GroupedExperts runner_;
  kernels::HugeBuffer sorted_;
  std::array<std::vector<FailedRow>, kMicroBatchesMax> failed_;
  std::array<int, kMicroBatchesMax> waits_{}, waits_left_{};
  int wait_calls_ = 0;
};

}  // namespace atoll::attention_node
