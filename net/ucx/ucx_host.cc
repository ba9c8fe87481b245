#include "net/ucx/ucx_host.h"

#include "base/clock.h"
#include "net/session/session_host.h"
#include "net/ucx/ucx_transport.h"

namespace atoll::net {
namespace {

const SteadyClock kSteadyClock;

}  // namespace

absl::StatusOr<std::unique_ptr<LinkHost>> OpenUcxHost(const LinkHostOptions& options, const UcxOptions& ucx, LinkHandler& handler) {
  ATOLL_ASSIGN_OR_RETURN(std::unique_ptr<UcxTransport> transport, UcxTransport::Create(ucx));
  return std::make_unique<SessionHost>(options, handler, kSteadyClock, std::move(transport));
}

}  // namespace atoll::net
