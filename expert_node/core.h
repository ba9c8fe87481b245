#pragma once

// An expert node without gRPC: dispatches come in over links, result rows go out. One thread (the receiver) calls RunOnce
// in a loop: it waits for frames, groups what has arrived by expert, computes on the pool and answers. While it computes, a
// net::LinkTicker keeps the links alive; what arrives meanwhile is in the next batch. Mint, Assign and the readings may be
// called from any thread. The same class serves the program and clusters in one test process.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/trace/tracer.h"
#include "expert_node/dispatch_part.h"
#include "expert_node/expert_store.h"
#include "expert_node/grouper.h"
#include "expert_node/outbox.h"
#include "expert_node/runner.h"
#include "kernels/context.h"
#include "model/checkpoint.h"
#include "net/link.h"
#include "node/session.h"

namespace atoll::expert_node {

struct CoreOptions {
  DType activation_dtype = DType::kBF16;
  uint64_t numerics_fingerprint = 0;
  uint64_t incarnation = 0;
  int32_t parts_max = 2048;         // received and not yet run; beyond it a part is refused as overloaded
  int32_t batches_max = 8;          // finished and not yet sent
  int64_t parts_wait_ns = 10'000'000;
  int64_t gather_wait_ns = 0;
  int64_t throttle = 1;             // for tests: takes so many times the time that it needs
};

struct CoreCounters {
  uint64_t rows_run = 0;  // pairs of a row and an expert
  uint64_t batches = 0;
  uint64_t refused = 0;   // parts, for whatever reason
  uint64_t expired = 0;   // parts whose sender had given up
  uint64_t busy_us = 0;   // spent computing
  uint64_t turns = 0;     // of the receiver: grows as long as that is not stuck
};

// What the core works with; everything outlives it.
struct CoreParts {
  const model::Checkpoint* checkpoint = nullptr;
  ExpertStore* store = nullptr;
  kernels::Context kernels;
  const Clock* clock = nullptr;
  trace::Tracer* tracer = nullptr;  // may be null
};

class ExpertCore final : public net::LinkHandler, public node::SessionMinter {
 public:
  ExpertCore(const CoreOptions& options, const CoreParts& parts);

  // The host whose handler this is; before anything else is called. It outlives every call of RunOnce and Mint.
  void Attach(net::LinkHost* host) { host_ = host; }

  absl::StatusOr<net::SessionTicket> Mint(const node::SessionRequest& request) override;

  // Receiver's thread: waits up to `timeout` for frames, then runs one batch if there is one.
  void RunOnce(std::chrono::nanoseconds timeout);

  CoreCounters counters() const;
  const net::SessionTerms& terms() const { return terms_; }

  void OnFrame(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload) override;
  void OnOpen(net::Link& link) override;
  void OnClosed(net::Link& link, const absl::Status& reason) override;

 private:
  void ReceiveDispatch(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload);
  void Cancel(const DispatchKey& key);
  void Refuse(uint64_t link, const net::FrameHeader& dispatch, net::RefuseReason reason);
  void Reply(const Answer& answer);
  std::chrono::nanoseconds PollTime(std::chrono::nanoseconds longest) const;
  void SendAnswers();
  void RunBatch();
  absl::Status Compute(FinishedBatch& finished, uint16_t layer, const ExpertTable& table);
  FinishedBatch* FreeBatch();
  // Keeps those that can run with `table`; refuses and frees the others.
  std::span<const int32_t> Servable(std::span<const int32_t> parts, const ExpertTable& table);
  void AnswerParts(std::span<const int32_t> parts, FinishedBatch* batch, const absl::Status& status);

  const CoreOptions options_;
  const CoreParts parts_;
  const net::SessionTerms terms_;
  net::LinkHost* host_ = nullptr;
  PartStore store_;
  const int32_t pairs_max_;  // of a batch
  Grouper grouper_;
  Runner runner_;
  std::vector<std::unique_ptr<FinishedBatch>> batches_;
  Outbox outbox_;
  std::vector<net::Link*> links_;
  std::vector<int32_t> servable_;
  std::atomic<uint64_t> rows_run_{0}, batches_run_{0}, refused_{0}, expired_{0}, busy_ns_{0}, turns_{0};
};

}  // namespace atoll::expert_node
