#pragma once

// What is known of one request of a load test. Times are nanoseconds since the run's start; 0 token times mean "never".

#include <cstdint>
#include <string>
#include <string_view>

namespace atoll::load {

// Every request ends in exactly one of these.
enum class Outcome {
  kOk,         // all of its answer came
  kRefused,    // the server said no before the first token: too much load, or not serving now
  kCancelled,  // this client went away, as it was meant to
  kFailed,     // anything else
};

inline constexpr Outcome kOutcomes[] = {Outcome::kOk, Outcome::kRefused, Outcome::kCancelled, Outcome::kFailed};

constexpr std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk: return "ok";
    case Outcome::kRefused: return "refused";
    case Outcome::kCancelled: return "cancelled";
    case Outcome::kFailed: break;
  }
  return "failed";
}

// How a call ended, as its target saw it.
struct CallEnd {
  bool ok = false;
  std::string code{};     // "OK", "RESOURCE_EXHAUSTED", "HTTP 429"
  std::string reason{};   // stable word of the server, for example NO_PAGES; may be empty
  std::string message{};  // one sentence
  bool refusal = false; // overload or "not now", said by the server itself
  int64_t prompt_tokens = 0, completion_tokens = 0;              // the server's own count
  int64_t server_queue_us = 0, server_first_us = 0, server_total_us = 0;  // the server's own times; 0 where it says none
};

struct RequestRecord {
  uint64_t index = 0;
  std::string request_id;
  int64_t intended_ns = 0, sent_ns = 0, first_ns = 0, last_ns = 0, end_ns = 0;
  int64_t tokens = 0, messages = 0;  // received
  int64_t longest_gap_ns = 0;        // between two messages
  bool warmup = false;               // sent before the measurement: in the ledger, not in the figures
  bool cancel_asked = false;         // by this client
  bool hung = false;                 // given up on after a long silence
  bool within_slo = false;
  Outcome outcome = Outcome::kFailed;
  CallEnd end;

  int64_t TtftNs() const { return first_ns - intended_ns; }
  int64_t E2eNs() const { return end_ns - intended_ns; }
  // Per token after the first; 0 where there is none.
  int64_t TpotNs() const { return tokens > 1 ? (last_ns - first_ns) / (tokens - 1) : 0; }
};

// One line of JSON, without its end.
std::string LedgerLine(const RequestRecord& record);

}  // namespace atoll::load
