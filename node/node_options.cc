#include "node/node_options.h"

#include "node/process.h"
#include "node/session.h"

namespace atoll::node {
namespace {

const char* RoleName(Role role) { return role == Role::kAttention ? "attention" : "expert"; }

// "HOST:PORT" or "[V6]:PORT" without the port.
absl::StatusOr<std::string> HostOf(const std::string& address, const std::string& option) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return absl::InvalidArgumentError(absl::StrCat(option, " must be HOST:PORT, found '", address, "'"));
  return address.substr(0, colon);
}

bool IsEveryInterface(const std::string& host) { return host == "0.0.0.0" || host == "[::]"; }

std::string AdvertisedHost(const NodeOptions& options, const std::string& host) {
  if (!options.advertise.empty()) return options.advertise;
  return IsEveryInterface(host) ? HostName() : host;
}

absl::StatusOr<net::UcxOptions> UcxOptionsOf(const NodeOptions& options) {
  net::UcxOptions ucx;
  const std::optional<net::UcxTransports> transports = net::ParseUcxTransports(options.transport);
  if (!transports)
    return absl::InvalidArgumentError(absl::StrCat("--transport must be auto, tcp or shm, found '", options.transport, "'"));
  ATOLL_ASSIGN_OR_RETURN(std::string host, HostOf(options.listen, "--listen"));
  if (!options.data_listen.empty()) host = options.data_listen;
  ucx.transports = *transports;
  ucx.listen_address = absl::StrCat(host, ":0");
  ucx.advertise_host = AdvertisedHost(options, host);
  return ucx;
}

}  // namespace

void DefineNodeOptions(NodeOptions& options, Options& program) {
  program.Group("node");
  program.String("--model", &options.model, "checkpoint folder");
  program.Require("--model");
  program.String("--router", &options.router, "HOST:PORT of the router");
  program.String("--node-id", &options.node_id, "name that stays over restarts; empty: role and machine name");
  program.Group("network");
  program.String("--listen", &options.listen, "HOST:PORT of this node's control server; port 0 picks a free one");
  program.String("--data-listen", &options.data_listen, "host for data connections; empty: that of --listen");
  program.String("--advertise", &options.advertise, "host by which others reach this node; empty: the one listened on");
  program.Choice("--transport", &options.transport, {"auto", "tcp", "shm"}, "data transport: shared memory on one machine, else tcp");
  program.Int("--peer-silence-ms", &options.peer_silence_ms, {50, 600 * 1000}, "a peer that says nothing for so long is lost");
  program.Group("compute");
  program.Int("--threads", &options.threads, {0, 4096}, "compute threads; 0: one per CPU of the machine");
  program.Flag("--pin-threads", &options.pin_threads, "thread i on CPU i");
  program.Choice("--isa", &options.isa, {"auto", "reference", "avx2", "avx512", "avx512bf16"}, "instruction set of the kernels");
  program.Choice("--activation-dtype", &options.activation_dtype, {"bfloat16", "float32"}, "float32: slow, to check the arithmetic");
}

absl::StatusOr<NodeSettings> ReadNodeOptions(const NodeOptions& options, Role role) {
  NodeSettings settings;
  settings.role = role;
  settings.node_id = options.node_id.empty() ? absl::StrCat(RoleName(role), "-", HostName()) : options.node_id;
  settings.incarnation = NewIncarnation();
  if (const kernels::KernelError error = kernels::ParseIsa(options.isa, &settings.isa); !error.ok())
    return absl::InvalidArgumentError(absl::StrCat("--isa: ", error.text));
  ATOLL_ASSIGN_OR_RETURN(settings.activation_dtype, ParseActivationDType(options.activation_dtype));
  ATOLL_ASSIGN_OR_RETURN(settings.ucx, UcxOptionsOf(options));
  settings.pool = {.threads = static_cast<int>(options.threads), .pin = options.pin_threads};
  settings.links.name = settings.node_id;
  settings.links.incarnation = settings.incarnation;
  settings.links.peer_silence_ms = options.peer_silence_ms;
  return settings;
}

std::string AdvertisedAddress(const NodeOptions& options, const std::string& control_address) {
  const size_t colon = control_address.rfind(':');
  return absl::StrCat(AdvertisedHost(options, control_address.substr(0, colon)), control_address.substr(colon));
}

NodeIdentity IdentityOf(const NodeSettings& settings, const std::string& control_address) {
  NodeIdentity identity;
  identity.role = settings.role;
  identity.node_id = settings.node_id;
  identity.incarnation = settings.incarnation;
  identity.control_address = control_address;
  identity.backend = absl::StrCat("cpu ", kernels::IsaName(settings.isa));
  identity.activation_dtype = DTypeName(settings.activation_dtype);
  return identity;
}

}  // namespace atoll::node
