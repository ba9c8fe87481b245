#pragma once

// Where spans are begun and handed in: it mints ids, decides what is sampled, and keeps finished spans for an exporter.
// Thread-safe; nothing blocks but Take. A process without an exporter has no tracer: whoever traces holds a pointer that is
// null then.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/trace/sampler.h"
#include "base/trace/span.h"

namespace atoll::trace {

class Tracer {
 public:
  // `seed` of the ids: another one in every process. At most `spans_max` spans wait for the exporter.
  Tracer(const Sampler& sampler, uint64_t seed, size_t spans_max = 4096);

  // The context of a new span: of the parent's trace, or of a new one. Whether it is sampled is in its flags.
  TraceContext NewSpan(const std::optional<TraceContext>& parent);

  // A finished span; one that is not sampled is ignored, one that finds no room is dropped and counted.
  void Record(Span span);
  void CountDropped(size_t spans) { dropped_ += static_cast<int64_t>(spans); }
  int64_t dropped() const { return dropped_; }
  int64_t recorded() const { return recorded_; }

  // The exporter: waits up to `timeout` for spans, and a little more for a batch of `most`. Empty where none came.
  std::vector<Span> Take(size_t most, std::chrono::milliseconds timeout);
  // Take waits no longer.
  void Close();
  bool closed() const;

 private:
  uint64_t RandomBits();

  const Sampler sampler_;
  const size_t spans_max_;
  std::atomic<uint64_t> state_;
  std::atomic<int64_t> dropped_{0}, recorded_{0};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Span> waiting_;  // guarded by mutex_
  bool closed_ = false;        // guarded by mutex_
};

}  // namespace atoll::trace
