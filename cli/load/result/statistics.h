#pragma once

// The figures of a run, as they come in from the ledger. Bounded memory. Thread-compatible.

#include <array>
#include <cstdint>

#include "cli/load/result/ledger.h"
#include "cli/load/result/samples.h"
#include "cli/load/result/slo.h"
#include "cli/load/result/time_series.h"

namespace atoll::load {

// Requests by how they ended.
struct Tally {
  std::array<int64_t, 4> ended{};  // by Outcome
  int64_t hung = 0, good = 0;      // good: ok and within the SLO

  int64_t of(Outcome outcome) const { return ended[static_cast<size_t>(outcome)]; }
  int64_t all() const { return ended[0] + ended[1] + ended[2] + ended[3]; }
  void Add(const RequestRecord& record);
};

class Statistics {
 public:
  // Requests sent from `warmup_ns` on are measured.
  Statistics(const Slo& slo, int64_t warmup_ns) : slo_(slo), warmup_ns_(warmup_ns) {}

  // A request is on its way; `in_flight` counts it.
  void OnSent(const RequestRecord& record, int64_t in_flight);
  // No further request will be sent: the steady window ends.
  void OnSendingOver(int64_t now_ns);
  void OnTokens(int64_t now_ns, int64_t tokens);
  void OnFirst(const RequestRecord& record);
  void OnGap(int64_t gap_ns, const RequestRecord& record);
  // Completes the record (within_slo).
  void OnEnd(RequestRecord* record);

  int64_t sent() const { return sent_; }
  int64_t tokens() const { return tokens_; }
  const Tally& all() const { return all_; }            // the whole ledger
  const Tally& measured() const { return measured_; }  // without the warm-up
  const Slo& slo() const { return slo_; }
  int64_t warmup_ns() const { return warmup_ns_; }
  // Server-counted, over all requests that are ok.
  int64_t prompt_tokens() const { return prompt_tokens_; }

  // From the intended send time, but for ttft_from_sent. Of measured requests: ttft of all with a token, the others of
  // those that are ok; itl per message, the wait for it.
  Samples ttft, ttft_from_sent, tpot, itl, e2e;
  Samples send_delay;  // sent - intended: large values mean that this client, or its limit of requests in flight, was late
  Samples server_ttft, server_e2e;  // the server's own times of the same requests
  TimeSeries series;

  // Seconds from the first measured request to the last end, and what they carried.
  double MeasuredSeconds() const;
  double TokensPerSecond() const;
  double RequestsPerSecond() const;  // ok
  double GoodPerSecond() const;
  double GoodShare() const;  // of the requests that were not cancelled by this client; 0 without any
  // Between the end of the warm-up and the end of sending: what the cluster carries without the tail. 0 where too short.
  double SteadySeconds() const;
  double SteadyTokensPerSecond() const;

 private:
  const Slo slo_;
  const int64_t warmup_ns_;
  Tally all_, measured_;
  int64_t sent_ = 0, tokens_ = 0, tokens_measured_ = 0, tokens_steady_ = 0, prompt_tokens_ = 0;
  int64_t first_intended_ns_ = -1, last_end_ns_ = 0, sending_over_ns_ = -1;
};

}  // namespace atoll::load
