#include "net/memory/memory_network.h"

#include "base/check.h"
#include "net/memory/memory_transport.h"
#include "net/session/session_host.h"

namespace atoll::net {
namespace {

const SteadyClock kSteadyClock;

}  // namespace

MemoryNetwork::MemoryNetwork() : MemoryNetwork(kSteadyClock) {}
MemoryNetwork::MemoryNetwork(const Clock& clock) : clock_(clock), hub_(std::make_shared<MemoryHub>(clock)) {}
MemoryNetwork::~MemoryNetwork() = default;

absl::StatusOr<std::unique_ptr<LinkHost>> MemoryNetwork::OpenHost(const LinkHostOptions& options, LinkHandler& handler) {
  ATOLL_RETURN_IF_ERROR(hub_->Join(options.name));
  return std::make_unique<SessionHost>(options, handler, clock_, std::make_unique<MemoryTransport>(hub_, options.name));
}

std::unique_ptr<Transport> MemoryNetwork::OpenTransport(const std::string& name) {
  ATOLL_CHECK(hub_->Join(name).ok(), "the name is free");
  return std::make_unique<MemoryTransport>(hub_, name);
}

void MemoryNetwork::SetFaults(const FaultPlan& plan) { hub_->SetFaults(plan); }
void MemoryNetwork::SetSilent(const std::string& name, bool silent) { hub_->SetSilent(name, silent); }
void MemoryNetwork::Disconnect(const std::string& name) { hub_->Disconnect(name); }

}  // namespace atoll::net
