#pragma once

// Follows every request from its sending to its one end, and hands each finished record on. Memory is bounded by the
// requests in flight. Thread-compatible: whoever shares it holds a lock.

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cli/load/result/record.h"

namespace atoll::load {

class Ledger {
 public:
  struct Events {
    std::function<void(int64_t now_ns, int64_t tokens)> on_tokens;
    std::function<void(int64_t gap_ns, const RequestRecord&)> on_gap;  // between two messages of a request
    std::function<void(const RequestRecord&)> on_first;
    std::function<void(const RequestRecord&)> on_end;  // the record is whole but for within_slo
  };
  explicit Ledger(Events events) : events_(std::move(events)) {}

  // Index, id, intended and sent time and warmup are set. The index is new.
  void Begin(const RequestRecord& record);
  // A message of at least one token. False where the request is over, or unknown. `received` (may be null) gets the
  // tokens so far.
  bool Tokens(uint64_t index, int64_t tokens, int64_t now_ns, int64_t* received);
  // This client asks for the end; `hung`: because of a long silence.
  void AskCancel(uint64_t index, bool hung);
  // How it ended; nothing where it had ended before: the second end counts for nothing.
  std::optional<Outcome> End(uint64_t index, const CallEnd& end, int64_t now_ns);

  int64_t open() const { return static_cast<int64_t>(open_.size()); }
  std::vector<uint64_t> OpenIndices() const;
  // Requests of which nothing has come since `before_ns`, and which this client has not cancelled yet.
  std::vector<uint64_t> SilentSince(int64_t before_ns) const;

 private:
  std::unordered_map<uint64_t, RequestRecord> open_;
  const Events events_;
};

// The one outcome of a request by how its call ended. An answer whose tokens are not as many as the server counted is
// failed, whatever its status.
Outcome Judge(const RequestRecord& record);

}  // namespace atoll::load
