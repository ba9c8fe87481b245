#pragma once

// What the probes say, from what the cluster is known to be. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "router/http/server/message.h"

namespace atoll::router::http {

struct NodeProgress {
  std::string node_id = {};
  bool expert = false;
  bool ready = false;
  bool lost = false;
  bool loading = false;
  uint64_t loaded_bytes = 0;
  uint64_t to_load_bytes = 0;
};

struct ClusterHealth {
  bool ready = false;  // a token can be made: a probe token has gone through every layer
  std::string not_ready_reason = {};
  bool was_ready = false;  // ever
  bool draining = false;
  bool stuck = false;  // the router's own loop does not turn
  int64_t uptime_ms = 0;
  int64_t missing_expert_nodes = 0;
  std::vector<NodeProgress> nodes = {};
};

// /livez: the process does its work. 200 unless stuck.
Response Livez(const ClusterHealth& health);
// Every body that is not 200 has `phase` (join, load_weights, interrupted, draining or stuck) and the reason.
// /startupz: the cluster has been ready once; until then 503 with the phase: load_weights (with bytes and seconds left) or join.
Response Startupz(const ClusterHealth& health);
// /readyz and /health: a token can be made now; 503 with the reason otherwise. `degraded` lists lost expert nodes.
Response Readyz(const ClusterHealth& health);
// Whether /v1/models has an answer: once started, and not draining.
bool ModelIsServed(const ClusterHealth& health);

}  // namespace atoll::router::http
