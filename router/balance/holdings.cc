#include "router/balance/holdings.h"

#include <algorithm>

namespace atoll::router {
namespace {

using model::ExpertId;

std::vector<ExpertId> Common(const std::vector<ExpertId>& a, const std::vector<ExpertId>& b) {
  std::vector<ExpertId> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

// Hosts by node name of every expert: [layers * experts].
using Hosts = std::vector<std::vector<int32_t>>;

// Shares of the hosts as `wanted` has them; even where it knows none.
void SetShares(const std::vector<int32_t>& hosts, const std::map<int32_t, double>& wanted, std::vector<model::Replica>& replicas) {
  double sum = 0;
  for (const int32_t host : hosts) sum += wanted.contains(host) ? wanted.at(host) : 0;
  for (const int32_t host : hosts) {
    const double share = wanted.contains(host) ? wanted.at(host) : 0;
    replicas.push_back({host, sum > 0 ? share / sum : 1.0 / static_cast<double>(hosts.size())});
  }
}

}  // namespace

void Holdings::Join(const std::string& node, int64_t slots, std::vector<ExpertId> reported) {
  std::erase_if(reported, [&](const ExpertId& id) { return !shape_.Contains(id); });
  std::sort(reported.begin(), reported.end());
  reported.erase(std::unique(reported.begin(), reported.end()), reported.end());
  std::vector<ExpertId> former = std::move(nodes_[node].assigned);
  const bool keeps = !former.empty() && static_cast<int64_t>(former.size()) <= slots;
  Holding holding{.slots = slots, .assigned = keeps ? std::move(former) : reported, .loaded = {}};
  if (static_cast<int64_t>(holding.assigned.size()) > slots) holding.assigned.resize(slots);
  holding.loaded = Common(holding.assigned, reported);
  holding.changed = !holding.assigned.empty();
  nodes_[node] = std::move(holding);
}

void Holdings::Lose(const std::string& node) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return;
  found->second.alive = false;
  found->second.loaded.clear();
}

void Holdings::Drain(const std::string& node) {
  const auto found = nodes_.find(node);
  if (found != nodes_.end()) found->second.draining = true;
}

void Holdings::Add(const std::string& node, ExpertId expert) {
  Holding& holding = nodes_.at(node);
  const auto at = std::lower_bound(holding.assigned.begin(), holding.assigned.end(), expert);
  if (at != holding.assigned.end() && *at == expert) return;
  holding.assigned.insert(at, expert);
  holding.changed = true;
}

void Holdings::Remove(const std::string& node, ExpertId expert) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return;
  Holding& holding = found->second;
  holding.changed = std::erase(holding.assigned, expert) > 0 || holding.changed;
  std::erase(holding.loaded, expert);
}

const std::vector<ExpertId>& Holdings::Tell(const std::string& node, uint64_t epoch) {
  Holding& holding = nodes_.at(node);
  holding.assigned_epoch = epoch;
  holding.changed = false;
  return holding.assigned;
}

bool Holdings::OnReady(const std::string& node, uint64_t epoch) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || found->second.assigned_epoch == 0 || found->second.changed) return false;
  Holding& holding = found->second;
  // A greater epoch is that of another router, which had the node before: ours must follow it.
  if (epoch > holding.assigned_epoch) holding.changed = true;
  if (epoch != holding.assigned_epoch || holding.ready()) return false;
  holding.loaded = holding.assigned;
  return true;
}

const Holding* Holdings::Find(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second;
}

bool Holdings::AllReady() const {
  return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& entry) { return !entry.second.alive || entry.second.ready(); });
}

model::Placement Holdings::Assigned() const {
  model::Placement placement = shape_;
  for (const auto& [id, holding] : nodes_) {
    if (!holding.alive) continue;
    const auto node = static_cast<int32_t>(placement.node_ids.size());
    placement.node_ids.push_back(id);
    for (const ExpertId& expert : holding.assigned) placement.ReplicasOf(expert).push_back({node, 1});
  }
  return placement;
}

ServingTable ServingNow(const Holdings& holdings, const std::set<NodeReplica>& freeing, const model::Placement& wanted) {
  const model::Placement& shape = holdings.shape();
  ServingTable table{.placement = shape, .loaded = {}};
  Hosts hosts(shape.replicas.size()), fallback(shape.replicas.size());
  const auto index = [&](const ExpertId& id) { return id.layer * shape.experts + id.expert; };
  std::vector<std::string> names;
  std::vector<bool> alive, has_loaded;
  for (const auto& [id, holding] : holdings.nodes()) {
    const auto node = static_cast<int32_t>(names.size());
    for (const ExpertId& expert : holding.loaded)
      if (freeing.empty() || !freeing.contains({id, expert})) hosts[index(expert)].push_back(node);
    for (const ExpertId& expert : holding.assigned) fallback[index(expert)].push_back(node);
    names.push_back(id);
    alive.push_back(holding.alive);
    has_loaded.push_back(!holding.loaded.empty());
  }
  std::vector<bool> referred(names.size(), false);
  for (size_t i = 0; i < hosts.size(); ++i) {
    if (!shape.layer_has_experts[i / shape.experts] || !hosts[i].empty()) continue;
    ++table.lost;
    hosts[i] = fallback[i].empty() ? std::vector<int32_t>{0} : fallback[i];
  }
  for (const std::vector<int32_t>& of_expert : hosts)
    for (const int32_t node : of_expert) referred[node] = true;
  std::vector<int32_t> kept(names.size(), -1);
  for (size_t n = 0; n < names.size(); ++n) {
    if (!alive[n] && !referred[n]) continue;
    kept[n] = static_cast<int32_t>(table.placement.node_ids.size());
    table.placement.node_ids.push_back(names[n]);
    table.loaded.push_back(alive[n] && (has_loaded[n] || !referred[n]));
  }
  std::map<std::string, int32_t> of_name;
  for (size_t n = 0; n < names.size(); ++n) of_name[names[n]] = kept[n];
  std::vector<int32_t> wanted_node;  // [nodes of wanted] -> ours, or -1
  for (const std::string& id : wanted.node_ids) wanted_node.push_back(of_name.contains(id) ? of_name.at(id) : -1);
  for (size_t i = 0; i < hosts.size(); ++i) {
    if (hosts[i].empty()) continue;
    std::map<int32_t, double> shares;
    if (i < wanted.replicas.size())
      for (const model::Replica& replica : wanted.replicas[i]) shares[wanted_node[replica.node]] = replica.share;
    for (int32_t& host : hosts[i]) host = kept[host];
    SetShares(hosts[i], shares, table.placement.replicas[i]);
  }
  return table;
}

}  // namespace atoll::router
