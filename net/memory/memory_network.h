#pragma once

// Links between LinkHosts of one process, with faults to order: for tests, for simulation, and for whole clusters in one
// process. Thread-safe; each host follows the rules of net/link.h.

#include <memory>
#include <string>

#include "base/clock.h"
#include "net/link.h"
#include "net/memory/fault_plan.h"

namespace atoll::net {

class MemoryHub;
class Transport;

class MemoryNetwork {
 public:
  MemoryNetwork();
  // Delays, heartbeats and timeouts follow `clock`, which outlives all hosts. With a clock that stands still, use Poll(0).
  explicit MemoryNetwork(const Clock& clock);
  ~MemoryNetwork();

  // The host's data address is "memory:" + options.name; names are unique among living hosts. Hosts may outlive the
  // network object. AlreadyExists for a name in use.
  absl::StatusOr<std::unique_ptr<LinkHost>> OpenHost(const LinkHostOptions& options, LinkHandler& handler);

  // The bare transport under a host, for a peer that keeps to no protocol. The name must be free.
  std::unique_ptr<Transport> OpenTransport(const std::string& name);

  void SetFaults(const FaultPlan& plan);  // of messages sent from now on
  // Messages from and to the host vanish without a sign (a black hole, or a stopped process), or flow again.
  void SetSilent(const std::string& name, bool silent);
  // All connections of the host end, as if it had been killed; what was sent before still arrives.
  void Disconnect(const std::string& name);

 private:
  const Clock& clock_;
  std::shared_ptr<MemoryHub> hub_;  // this object and every transport: whoever goes last frees it
};

}  // namespace atoll::net
