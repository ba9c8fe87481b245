#pragma once

// What each expert node was told to hold and what of it is known to be loaded. Thread-compatible.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/placement.h"

namespace atoll::router {

using NodeReplica = std::pair<std::string, model::ExpertId>;

struct Holding {
  int64_t slots = 0;  // replicas that fit
  bool alive = true;
  bool draining = false;
  uint64_t assigned_epoch = 0;             // of the newest assignment; 0: none in this life
  bool changed = false;                    // `assigned` is not yet told
  std::vector<model::ExpertId> assigned;   // sorted; also of a lost node, which gets it back
  std::vector<model::ExpertId> loaded;     // sorted, of `assigned`; nothing of a lost node

  bool ready() const { return !changed && loaded.size() == assigned.size(); }
};

class Holdings {
 public:
  explicit Holdings(model::Placement shape) : shape_(std::move(shape)) {}

  // reported: what the node holds by its own word. It keeps what it had under its name as far as that fits, otherwise what
  // it reports.
  void Join(const std::string& node, int64_t slots, std::vector<model::ExpertId> reported);
  void Lose(const std::string& node);
  void Drain(const std::string& node);
  void Erase(const std::string& node) { nodes_.erase(node); }

  void Add(const std::string& node, model::ExpertId expert);
  void Remove(const std::string& node, model::ExpertId expert);
  // The changed assignment goes out under `epoch`.
  const std::vector<model::ExpertId>& Tell(const std::string& node, uint64_t epoch);
  // A heartbeat says that the assignment of `epoch` is loaded whole. True when that is news.
  bool OnReady(const std::string& node, uint64_t epoch);

  const std::map<std::string, Holding>& nodes() const { return nodes_; }
  const Holding* Find(const std::string& node) const;
  const model::Placement& shape() const { return shape_; }
  // Every node that is alive has what it was told to hold.
  bool AllReady() const;
  // What the nodes that are alive hold or are loading; shares of 1.
  model::Placement Assigned() const;

 private:
  const model::Placement shape_;  // no replicas in it
  std::map<std::string, Holding> nodes_;
};

// Who may be sent to.
struct ServingTable {
  model::Placement placement;  // every expert has a replica, if only on a node that is lost
  std::vector<bool> loaded;    // [nodes] something of it can be sent to, or nothing needs to be
  int64_t lost = 0;            // experts without a loaded replica
};

// What is loaded, without what is being freed. An expert that nobody has loaded stays with the nodes that were to hold it.
// Shares are those of `wanted` where it knows the replicas, otherwise even. Nodes are those that are alive and those that
// are referred to; there is at least one.
ServingTable ServingNow(const Holdings& holdings, const std::set<NodeReplica>& freeing, const model::Placement& wanted);

}  // namespace atoll::router
