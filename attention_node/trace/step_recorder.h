#pragma once

// Which steps are recorded, and who gets the records. Off, a step costs one load of an atomic. Ask and Forget from any
// thread, the rest is the step thread's.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "attention_node/step.h"
#include "attention_node/trace/step_trace.h"
#include "base/status.h"

namespace atoll::attention_node {

inline constexpr size_t kStepAskersMax = 64;

class StepRecorder {
 public:
  // Gets the record, on the step thread: returns at once.
  using Taker = std::function<void(const StepTrace&)>;

  // The next step with rows of `request_id` (empty: the next step) is recorded and given to `taker`, once. Returns a number
  // for Forget. ResourceExhausted: kStepAskersMax wait.
  absl::StatusOr<uint64_t> Ask(std::string request_id, Taker taker);
  // The taker is not called from now on; it may be being called.
  void Forget(uint64_t number);

  // Where a step with these shares is to be recorded; null: nowhere, unless `anyway`.
  StepTrace* Begin(std::span<const StepShare> shares, bool anyway);
  // The record that Begin gave is whole.
  void End();

 private:
  struct Asker {
    uint64_t number = 0;
    std::string request_id;
    Taker taker;
  };

  std::atomic<bool> asked_{false};
  std::mutex mutex_;
  uint64_t next_number_ = 1;    // guarded by mutex_
  std::vector<Asker> askers_;   // guarded by mutex_

  StepTrace trace_;             // step thread
  std::vector<Asker> served_;   // step thread: by the step that is being recorded
};

}  // namespace atoll::attention_node
