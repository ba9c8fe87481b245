#include "net/ucx/settings.h"

#include <ucs/config/global_opts.h>

#include <cstdlib>

namespace atoll::net {
namespace {

struct Setting {
  const char* name;
  const char* value;
};

constexpr Setting kSettings[] = {
    // With peer error handling UCX drops shared memory without a word unless this is set.
    {"UCX_POSIX_ERROR_HANDLING", "y"},
    // One part is one eager segment. Default segments mean rendezvous above 20 KB, three times slower.
    {"UCX_TCP_TX_SEG_SIZE", "256K"},
    {"UCX_TCP_RX_SEG_SIZE", "256K"},
    // Rendezvous never completes after a peer's death on shared memory.
    {"UCX_RNDV_THRESH", "inf"},
    // Fragments of shared memory. The default (8256) splits a frame of 8 KB in two: 47 us for a round trip instead of 18.
    // 60,000 makes frames of 224 KB slower by a third, 64 KiB or more aborts the receiver.
    {"UCX_POSIX_SEG_SIZE", "16384"},
    // Room for a dispatch of megabytes (the default of 64 fragments is one): its sender computes next, and what does not
    // fit moves only when somebody looks at the worker again, every 20 ms at worst.
    {"UCX_POSIX_FIFO_SIZE", "256"},
    // A restarted node takes its port again; must have been set in the dead process too.
    {"UCX_TCP_CM_REUSEADDR", "y"},
    // Idle connections over a network that drops everything; heartbeats are quicker but need traffic to pass.
    {"UCX_TCP_KEEPIDLE", "1s"},
    {"UCX_TCP_KEEPINTVL", "1s"},
    {"UCX_TCP_KEEPCNT", "3"},
    {"UCX_TCP_MAX_NUM_EPS", "1024"},
};

// These UCX reads when it is loaded, before main. Our crash handling, and no line of UCX on standard output: a dead peer
// is ours to report, so UCX keeps to what is fatal.
constexpr Setting kGlobalSettings[] = {
    {"ERROR_SIGNALS", ""},
    {"LOG_LEVEL", "fatal"},
    {"WARN_UNUSED_ENV_VARS", "n"},
};

void ApplyGlobalSettings() {
  for (const Setting& setting : kGlobalSettings) {
    if (std::getenv((std::string("UCX_") + setting.name).c_str()) == nullptr) (void)ucs_global_opts_set_value(setting.name, setting.value);
  }
}

bool IsLoopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("localhost:") || address.starts_with("[::1]:");
}

}  // namespace

std::optional<UcxTransports> ParseUcxTransports(std::string_view text) {
  if (text == "auto") return UcxTransports::kAuto;
  if (text == "tcp") return UcxTransports::kTcp;
  if (text == "shm") return UcxTransports::kShm;
  return std::nullopt;
}

void ApplyUcxSettings(const UcxOptions& options) {
  ApplyGlobalSettings();
  for (const Setting& setting : kSettings) setenv(setting.name, setting.value, 0);
  // A listener needs tcp among the transports even when the data goes through shared memory. sysv and cma bring
  // nothing over posix here, and sysv has its own error handling to switch on.
  switch (options.transports) {
    case UcxTransports::kAuto: setenv("UCX_TLS", "^sysv,cma", 0); break;
    case UcxTransports::kTcp: setenv("UCX_TLS", "tcp", 1); break;
    case UcxTransports::kShm: setenv("UCX_TLS", "posix,self,tcp", 1); break;
  }
  // UCX's tcp opens a listener of its own on every device: a loopback node must not be reachable from outside.
  if (IsLoopback(options.listen_address)) setenv("UCX_NET_DEVICES", "lo", 0);
}

}  // namespace atoll::net
