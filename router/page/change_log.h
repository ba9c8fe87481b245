#pragma once

// What has changed from one look at the cluster to the next, in words: nodes, readiness, placements, migrations. Keeps the
// newest. Plain code with time passed in; thread-compatible.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "router/control/control_report.h"

namespace atoll::router::page {

struct Change {
  uint64_t number = 0;  // from 1 on
  int64_t unix_ms = 0;
  std::string kind;     // node, ready, placement, migration, balancer
  std::string text;
  bool bad = false;
};

class ChangeLog {
 public:
  static constexpr size_t kKept = 100;

  // The first look is what later ones are compared with.
  void Look(const ClusterReport& report, int64_t unix_ms);

  const std::deque<Change>& changes() const { return changes_; }
  uint64_t newest() const { return newest_; }

 private:
  struct NodeSeen {
    NodeState state = NodeState::kJoining;
    uint64_t incarnation = 0;
  };
  struct Seen {
    bool ready = false;
    std::map<std::string, NodeSeen> nodes;
    BalancerReport balancer;
  };

  void Note(std::string kind, std::string text, bool bad = false);
  void CompareNodes(const ClusterReport& report);
  void CompareNode(const NodeReport& node, const NodeSeen& before);
  void ComparePlacement(const BalancerReport& now);

  bool looked_ = false;
  Seen seen_;
  int64_t now_unix_ms_ = 0;  // of the look that goes on
  uint64_t newest_ = 0;
  std::deque<Change> changes_;
};

}  // namespace atoll::router::page
