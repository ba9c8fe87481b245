#include "router/inference/trace_step.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace atoll::router {
namespace {

// Asked of several nodes, answered once. Thread-safe; shared by the calls that run.
class Race {
 public:
  Race(StepTraceCall call, std::function<void(absl::StatusOr<StepTrace>)> done) : call_(std::move(call)), done_(std::move(done)) {}

  static void Start(const std::shared_ptr<Race>& race, const Serving& serving) {
    race->open_ = serving.seats.size();
    for (const AttentionSeat& seat : serving.seats) {
      race->Keep(seat.client->TraceStep(race->call_, [race](absl::StatusOr<StepTrace> answer) { race->OnAnswer(std::move(answer)); }));
    }
  }

  // The answers follow, as cancelled ones.
  void Cancel() {
    std::vector<std::function<void()>> cancels;
    {
      std::lock_guard lock(mutex_);
      cancels.swap(cancels_);
    }
    for (const std::function<void()>& cancel : cancels) cancel();
  }

 private:
  void Keep(std::function<void()> cancel) {
    {
      std::lock_guard lock(mutex_);
      if (!answered_) return cancels_.push_back(std::move(cancel));
    }
    cancel();
  }

  void OnAnswer(absl::StatusOr<StepTrace> answer) {
    std::vector<std::function<void()>> cancels;
    {
      std::lock_guard lock(mutex_);
      --open_;
      if (answered_ || (!answer.ok() && open_ > 0)) return;
      answered_ = true;
      cancels.swap(cancels_);
    }
    for (const std::function<void()>& cancel : cancels) cancel();
    if (!answer.ok() && absl::IsDeadlineExceeded(answer.status())) answer = Late();
    done_(std::move(answer));
  }

  absl::Status Late() const {
    const std::string whose = call_.request_id.empty() ? "" : absl::StrCat(" with rows of request ", call_.request_id);
    return absl::DeadlineExceededError(absl::StrCat("no step", whose, " was run within ", call_.timeout_ms, " ms"));
  }

  const StepTraceCall call_;
  const std::function<void(absl::StatusOr<StepTrace>)> done_;
  std::mutex mutex_;
  size_t open_ = 0;                             // guarded by mutex_ once asked
  bool answered_ = false;                       // guarded by mutex_
  std::vector<std::function<void()>> cancels_;  // guarded by mutex_
};

}  // namespace

std::function<void()> TraceStep(const Serving& serving, StepTraceCall call, std::function<void(absl::StatusOr<StepTrace>)> done) {
  if (serving.seats.empty()) {
    done(absl::UnavailableError(absl::StrCat("no attention node serves: ", serving.not_ready_reason)));
    return [] {};
  }
  call.timeout_ms = std::clamp<int64_t>(call.timeout_ms, 1, kStepTraceTimeoutMsMax);
  const auto race = std::make_shared<Race>(std::move(call), std::move(done));
  Race::Start(race, serving);
  return [race] { race->Cancel(); };
}

}  // namespace atoll::router
