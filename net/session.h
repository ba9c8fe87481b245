#pragma once

// A session: what two processes agreed on by a control call before one data byte crosses. The node that will receive the
// connection mints it (LinkHost::AllowSession), the control call carries the ticket, the caller connects with it once.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "net/wire_format.h"

namespace atoll::net {

// Must be equal at both ends.
struct SessionTerms {
  uint64_t model_fingerprint = 0;
  uint64_t numerics_fingerprint = 0;  // of the listening node's kernels, as its hello to the router says
  FrameLimits limits;
  uint32_t window = 32;  // frames that each side may have sent beyond those that the other has delivered

  friend bool operator==(const SessionTerms&, const SessionTerms&) = default;
};

// Plain data for the control call. The key is a secret of the two processes: never log a ticket.
struct SessionTicket {
  std::string data_address;   // host:port
  std::string listener_name;  // for messages and counters
  uint64_t session = 0;       // random, never zero, good for one connection
  uint64_t incarnation = 0;   // of the listening process
  MacKey mac_key{};
  SessionTerms terms;
};

inline constexpr size_t kTermsBytes = 64;
inline constexpr uint32_t kWindowMax = 1024;

// InvalidArgument when a field is out of range.
absl::Status CheckTerms(const SessionTerms& terms);

// FailedPrecondition naming the first difference; for both ends of the control call and of the connection.
absl::Status MatchTerms(const SessionTerms& ours, const SessionTerms& theirs);

// Payload of hello and welcome.
void EncodeTerms(const SessionTerms& terms, std::span<std::byte, kTermsBytes> out);
absl::StatusOr<SessionTerms> DecodeTerms(std::span<const std::byte> bytes);

// Random numbers from the operating system, for session ids, keys and incarnations.
uint64_t RandomNumber();
MacKey RandomKey();

}  // namespace atoll::net
