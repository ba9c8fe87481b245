#pragma once

// The shared state behind MemoryNetwork: who is there, which connections live, what is on the way. Thread-safe; its lock
// is the innermost one, and no event is raised while it is held.

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/memory/fault_plan.h"
#include "net/session/channel.h"

namespace atoll::net {

struct MemoryMessage {
  enum class Kind { kConnect, kData, kLost } kind = Kind::kData;
  uint64_t connection = 0;
  std::vector<std::byte> header;
  std::vector<std::byte> payload;
};

class MemoryHub {
 public:
  explicit MemoryHub(const Clock& clock) : clock_(clock) {}

  absl::Status Join(const std::string& name);
  void Leave(const std::string& name);
  absl::StatusOr<uint64_t> Connect(const std::string& from, const std::string& to);
  bool CanSend(const std::string& from, uint64_t connection);
  absl::Status Send(const std::string& from, MemoryMessage message);
  // Ends the connection; the other side learns it after what was sent before.
  void Close(const std::string& from, uint64_t connection);
  // The next message for `name` that is due.
  std::optional<MemoryMessage> Receive(const std::string& name);
  void Wait(const std::string& name, std::chrono::nanoseconds timeout);
  void Wake(const std::string& name);

  void SetFaults(const FaultPlan& plan);
  void SetSilent(const std::string& name, bool silent);
  void Disconnect(const std::string& name);

 private:
  struct OnTheWay {
    int64_t due_ns;
    uint64_t order;
    MemoryMessage message;
    bool operator>(const OnTheWay& other) const { return std::tie(due_ns, order) > std::tie(other.due_ns, other.order); }
  };
  struct Host {
    std::priority_queue<OnTheWay, std::vector<OnTheWay>, std::greater<>> inbox;
    std::condition_variable filled;
    bool woken = false;
    bool silent = false;
  };
  struct Direction {
    std::string to;
    std::string name;  // of this direction, for the fault plan
    uint64_t messages = 0;
    uint64_t on_the_way = 0;
    int64_t last_due_ns = 0;
  };
  struct Connection {
    std::map<std::string, Direction> from;  // by sending host
  };

  Direction* Find(const std::string& from, uint64_t connection);
  void Put(Direction& direction, MemoryMessage message, const MessageFate& fate);
  void EndConnection(uint64_t connection);
  void EndConnectionsOf(const std::string& name);
  void Forget(const MemoryMessage& message, const std::string& receiver);

  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Host> hosts_;
  std::map<uint64_t, Connection> connections_;
  std::map<std::pair<std::string, std::string>, uint64_t> connections_between_;
  FaultPlan faults_;
  uint64_t next_connection_ = 1;
  uint64_t next_order_ = 0;
};

}  // namespace atoll::net
