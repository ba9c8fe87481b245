#pragma once

// What a load test sends to: a router over gRPC, an OpenAI-compatible server over HTTP, or a fake.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "cli/load/plan/prompt.h"
#include "cli/load/result/record.h"

namespace atoll::load {

// Gets what comes back. Called on any thread, for one call one at a time, and not after OnEnd; must not block.
class LoadListener {
 public:
  virtual ~LoadListener() = default;
  // Tokens of one message; false from it cancels the call.
  virtual bool OnTokens(uint64_t index, int64_t tokens) = 0;
  virtual void OnEnd(uint64_t index, const CallEnd& end) = 0;
};

struct TargetFacts {
  std::string model;
  int64_t vocabulary_size = 0;
  bool has_tokenizer = false;
  std::vector<std::string> nodes;  // one line each; empty where the target does not say
};

// Thread-safe.
class LoadTarget {
 public:
  // No listener is called after it.
  virtual ~LoadTarget() = default;

  // Whether it serves, and what.
  virtual absl::StatusOr<TargetFacts> Describe() = 0;
  virtual absl::StatusOr<std::vector<int32_t>> Tokenize(const std::string& text) = 0;
  // The server's own counters since its start, by name; empty where it has none.
  virtual absl::StatusOr<std::vector<std::pair<std::string, int64_t>>> Counters() = 0;

  // Sends the request and returns at once; the listener outlives the target.
  virtual void Start(const LoadCall& call, LoadListener* listener) = 0;
  // Ends the call, if it still runs; its OnEnd comes.
  virtual void Cancel(uint64_t index) = 0;
};

}  // namespace atoll::load
