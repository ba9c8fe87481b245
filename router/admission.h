#pragma once

// When a request is refused for load: bounds on what runs and waits in the whole cluster through this router. Pure;
// thread-compatible.

#include <cstdint>

#include "base/status.h"

namespace atoll::router {

struct AdmissionLimits {
  int64_t requests_max = 1024;                 // that run or wait
  int64_t queued_prompt_tokens_max = 1 << 20;  // of requests without a token yet, all choices counted
};

class Admission {
 public:
  explicit Admission(const AdmissionLimits& limits) : limits_(limits) {}

  // RESOURCE_EXHAUSTED with a retry delay, UNAVAILABLE while draining. A request whose prompt alone exceeds the bound is
  // admitted when no other waits. `jitter` in [0, 1) spreads the retries of many clients.
  absl::Status Admit(int64_t prompt_tokens, double jitter);
  // The request's first token came, or it ended without one.
  void PromptDone(int64_t prompt_tokens) { queued_prompt_tokens_ -= prompt_tokens; }
  void Release() { --requests_; }

  // Nothing is admitted from now on.
  void Drain() { draining_ = true; }

  int64_t requests() const { return requests_; }
  int64_t queued_prompt_tokens() const { return queued_prompt_tokens_; }

 private:
  const AdmissionLimits limits_;
  int64_t requests_ = 0;
  int64_t queued_prompt_tokens_ = 0;
  bool draining_ = false;
};

}  // namespace atoll::router
