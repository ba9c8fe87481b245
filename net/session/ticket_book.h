#pragma once

// The sessions that a listener minted and nobody has used yet. Each is good once and not for long. Pure; owned and
// locked by SessionHost.

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/status.h"
#include "net/session.h"

namespace atoll::net {

struct AllowedSession {
  std::string peer_name;
  SessionTicket ticket;
  int64_t expires_ns = 0;
};

class TicketBook {
 public:
  explicit TicketBook(size_t sessions_max) : sessions_max_(sessions_max) {}

  absl::Status Add(AllowedSession session) {
    if (sessions_.size() >= sessions_max_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("sessions: ", sessions_.size(), " minted and not used yet, expected below ", sessions_max_, "; retry later"));
    }
    sessions_.emplace(session.ticket.session, std::move(session));
    return absl::OkStatus();
  }
  const AllowedSession* Find(uint64_t session) const {
    const auto found = sessions_.find(session);
    return found == sessions_.end() ? nullptr : &found->second;
  }
  void Remove(uint64_t session) { sessions_.erase(session); }
  void Expire(int64_t now_ns) {
    std::erase_if(sessions_, [&](const auto& entry) { return entry.second.expires_ns <= now_ns; });
  }

 private:
  size_t sessions_max_;
  std::unordered_map<uint64_t, AllowedSession> sessions_;
};

}  // namespace atoll::net
