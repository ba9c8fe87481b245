#pragma once

// UCX is configured by environment variables that it reads in ucp_init; its API cannot set those of the transports
// (1.13: ucp_config_modify says Success and does nothing).

#include <optional>
#include <string>
#include <string_view>

namespace atoll::net {

enum class UcxTransports { kAuto, kTcp, kShm };

// "auto", "tcp" or "shm", as --transport takes them.
std::optional<UcxTransports> ParseUcxTransports(std::string_view text);

struct UcxOptions {
  UcxTransports transports = UcxTransports::kAuto;
  std::string listen_address = "127.0.0.1:0";  // port 0: any free one
  std::string advertise_host{};                  // in tickets instead of the listening host; needed with 0.0.0.0
};

// Sets the UCX_* variables of this process; one that the operator has set stays, but for UCX_TLS where `transports` names
// one. Changes the environment: call before other threads start.
void ApplyUcxSettings(const UcxOptions& options);

}  // namespace atoll::net
