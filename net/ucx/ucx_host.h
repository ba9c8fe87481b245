#pragma once

// A LinkHost whose links are UCX connections.

#include <memory>

#include "net/link.h"
#include "net/ucx/settings.h"

namespace atoll::net {

// Changes the environment (ApplyUcxSettings): open the host before other threads start. `handler` outlives it.
// Unavailable says what UCX could not do.
absl::StatusOr<std::unique_ptr<LinkHost>> OpenUcxHost(const LinkHostOptions& options, const UcxOptions& ucx, LinkHandler& handler);

}  // namespace atoll::net
