#pragma once

// What is to be done after an event in the cluster. Plain values.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "router/balance/plan_job.h"
#include "router/cluster/node.h"
#include "router/cluster/registry.h"

namespace atoll::router {

struct Assignment {
  StreamId stream = 0;
  uint64_t epoch = 0;
  std::vector<model::ExpertId> experts;
};

struct ViewOrder {
  StreamId stream = 0;
  std::shared_ptr<const ClusterView> view;
};

struct EndOrder {
  StreamId stream = 0;
  absl::Status status;
};

// Open (or drop) the stream for sequences to one life of an attention node.
struct AttentionTarget {
  std::string node_id;
  uint64_t incarnation = 0;
  std::string address;
};

struct ProbeOrder {
  std::string node_id;
  uint64_t incarnation = 0;
  uint64_t epoch = 0;
  bool again = false;  // of a node that has answered one: only whether tokens still come
};

// An expert node that leaves may end now.
struct DrainOrder {
  StreamId stream = 0;
  std::string reason;
};

struct Orders {
  std::vector<Assignment> assignments;
  std::vector<ViewOrder> views;
  std::vector<EndOrder> ends;
  std::vector<AttentionTarget> connects;
  std::vector<std::string> disconnects;  // attention node ids
  std::vector<ProbeOrder> probes;
  std::vector<DrainOrder> drains;
  std::vector<PlanJob> plans;  // the last one counts; it replaces one that runs
  std::vector<std::string> log;
};

}  // namespace atoll::router
