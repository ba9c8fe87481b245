#pragma once

// A node's membership: one stream to the router for the process's whole life. When the stream ends (the router restarts,
// the network breaks) the client joins again with a bounded backoff; the node serves on with what it knows.

#include <chrono>
#include <memory>
#include <string>

#include "base/status.h"
#include "node/cluster.h"

namespace atoll::node {

// What the client asks of its node and tells it. Called from the client's threads; implementations hand over to
// their own thread and return at once. None may stop or destroy the client.
class ClusterMember {
 public:
  virtual ~ClusterMember() = default;
  // At every join.
  virtual NodeState CurrentState() = 0;
  // At every heartbeat: the counters start anew.
  virtual Heartbeat TakeHeartbeat() = 0;
  virtual void OnAccepted(const Accepted&) {}
  virtual void OnAssignment(Assignment) {}
  virtual void OnView(ClusterView) {}
  virtual void OnDrain(const std::string&) {}
  // The router does not take this node as it is (wrong model, dtype, numerics, incarnation); the client has given up.
  virtual void OnRefused(const absl::Status&) {}
};

struct ClusterClientOptions {
  std::string router_address;
  NodeIdentity identity;
  model::ModelConfig model;  // for the shape of a view's placement
  int32_t heartbeat_ms = 50;  // until the router says another
  int32_t backoff_ms_max = 1000;
};

// Thread-safe. Owns a thread; `member` outlives it.
class ClusterClient {
 public:
  ClusterClient(ClusterClientOptions options, ClusterMember* member);
  ~ClusterClient();  // Stop("") unless stopped

  void Start();
  // Says that the node wants to leave and goes on meanwhile, until the router lets it go (true), the router is gone or
  // `timeout` has passed. Once, before Stop.
  bool Drain(const std::string& reason, std::chrono::milliseconds timeout);
  // Says that the node leaves on purpose, ends the stream and joins the threads. Bounded by a second.
  void Stop(const std::string& reason);
  bool joined() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace atoll::node
