#pragma once

// The options that both node programs have, and what follows from them. Plain values.

#include <cstdint>
#include <string>

#include "base/options.h"
#include "base/status.h"
#include "kernels/context.h"
#include "net/link.h"
#include "net/ucx/settings.h"
#include "node/cluster.h"

namespace atoll::node {

struct NodeOptions {
  std::string model{};
  std::string router = "127.0.0.1:50051";
  std::string listen = "127.0.0.1:0";
  std::string data_listen{};  // host; empty: that of `listen`
  std::string advertise{};    // host; empty: what is listened on, or this machine's name where that is every interface
  std::string node_id{};      // empty: role and machine name
  std::string transport = "auto";
  int64_t peer_silence_ms = 500;
  std::string isa = "auto";
  std::string activation_dtype = "bfloat16";
  int64_t threads = 0;  // 0: one per CPU of the machine
  bool pin_threads = false;
};

// Adds them to a program's options, which reads file and environment too.
void DefineNodeOptions(NodeOptions& options, Options& program);

// The options, read: InvalidArgument names the one that is wrong.
struct NodeSettings {
  Role role = Role::kExpert;
  std::string node_id;
  uint64_t incarnation = 0;
  kernels::Isa isa = kernels::Isa::kReference;
  DType activation_dtype = DType::kBF16;
  kernels::ComputePoolOptions pool;
  net::UcxOptions ucx;
  net::LinkHostOptions links;
};
absl::StatusOr<NodeSettings> ReadNodeOptions(const NodeOptions& options, Role role);

// What the router is told: `control_address` is where the server listens.
std::string AdvertisedAddress(const NodeOptions& options, const std::string& control_address);
NodeIdentity IdentityOf(const NodeSettings& settings, const std::string& control_address);

}  // namespace atoll::node
