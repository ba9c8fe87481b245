#include "router/metrics/load_recording.h"

namespace atoll::router {

void LoadRecording::Start(int64_t now_ns, std::vector<LayerCounts> sums) {
  std::lock_guard lock(mutex_);
  start_ = {now_ns, std::move(sums)};
  end_.reset();
}

absl::Status LoadRecording::Stop(int64_t now_ns, std::vector<LayerCounts> sums) {
  std::lock_guard lock(mutex_);
  if (!start_ || end_) return absl::FailedPreconditionError("no recording of expert loads runs; POST /debug/expert_load/start begins one");
  end_ = {now_ns, std::move(sums)};
  return absl::OkStatus();
}

absl::StatusOr<LoadRecording::Result> LoadRecording::Dump(int64_t now_ns, std::vector<LayerCounts> sums) const {
  std::lock_guard lock(mutex_);
  if (!start_) return absl::FailedPreconditionError("no recording of expert loads was started; POST /debug/expert_load/start begins one");
  return Result{.counts = CountsSince(end_ ? end_->sums : std::move(sums), start_->sums),
                .seconds = 1e-9 * static_cast<double>((end_ ? end_->ns : now_ns) - start_->ns),
                .running = !end_};
}

}  // namespace atoll::router
