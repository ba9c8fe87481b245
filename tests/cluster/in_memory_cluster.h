#pragma once

// A whole cluster without processes, gRPC or UCX: attention cores and expert cores on threads of their own, joined by
// in-memory links whose faults the test orders. What the router does (placement, views, sessions) the cluster does itself.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "attention_node/core.h"
#include "model/checkpoint.h"
#include "model/placement.h"
#include "net/memory/memory_network.h"

namespace atoll::cluster_test {

struct ClusterShape {
  int attention_nodes = 1;
  int expert_nodes = 1;
  int threads = 1;  // of each node
  kernels::Isa isa = kernels::DetectIsa();
  int placement_seed = 0;  // where experts lie
  int copies = 1;          // of every expert
  std::vector<double> speeds{};  // of expert nodes in the view; 1 where there are none
  int64_t dispatch_timeout_ms = 30000;
  int64_t peer_silence_ms = 30000;  // loaded test machines and sanitizers are slow
  attention_node::CoreOptions core = {.max_num_seqs = 64, .max_num_batched_tokens = 512, .pages = 256};
};

// What a client sees of a sequence.
struct Outcome {
  std::vector<attention_node::SampledToken> tokens;
  attention_node::SequenceEnd end;
};

// The tokens and every logprob's bits, as text that a failing test can show.
std::string Fingerprint(const Outcome& outcome);

class AttentionMember;
class ExpertMember;

// Owned by the test's thread.
class InMemoryCluster {
 public:
  // `checkpoint` and `shard` (which all attention nodes share) outlive the cluster. All links are open when it returns.
  InMemoryCluster(const model::Checkpoint& checkpoint, const attention_node::AttentionShard& shard, const ClusterShape& shape);
  ~InMemoryCluster();

  // Sends request i to attention node i % nodes; returns a handle.
  int Submit(attention_node::SequenceRequest request);
  void Cancel(int handle);
  // Waits until the sequence has ended, a minute at most (then it fails the test).
  Outcome Await(int handle);
  // Submits all at once, then awaits all.
  std::vector<Outcome> Run(const std::vector<attention_node::SequenceRequest>& requests);
  // Waits until the sequence has at least `tokens` tokens.
  void AwaitTokens(int handle, size_t tokens);

  void SetFaults(const net::FaultPlan& plan) { network_.SetFaults(plan); }
  // As if the expert node's process were killed; its links break.
  void Kill(int expert_node);
  // The node comes back as another incarnation, loads its experts again and is in a new view.
  void Restart(int expert_node);

  const model::Placement& placement() const { return placement_; }
  // Re-placement as the router does it: loads what `next` adds, announces it, waits until every attention node has
  // acknowledged it, frees what it does not name. `next`'s epoch is set here.
  void Replace(model::Placement next);
  // The two halves of a re-placement in the wrong order: replicas go while attention nodes still follow the old view.
  void LoadAndFree(const model::Placement& next);
  void Announce(model::Placement next);

  attention_node::CoreLoad load(int attention_node) const;
  uint64_t parts_sent_again() const;  // of all attention nodes
  uint64_t refused() const;           // parts, by all expert nodes
  uint64_t rows_run(int expert_node) const;
  int32_t preemptions() const { return preemptions_; }  // of all sequences awaited so far

 private:
  struct Handle {
    int node = 0;
    attention_node::SequenceKey key;
  };

  void AnnounceView();
  void OpenLinks();
  void Assign(const model::Placement& added, const model::Placement* kept);

  const ClusterShape shape_;
  net::MemoryNetwork network_;
  const model::Checkpoint& checkpoint_;
  std::vector<std::unique_ptr<ExpertMember>> experts_;
  std::vector<std::unique_ptr<AttentionMember>> attention_;
  std::vector<Handle> handles_;
  model::Placement placement_;
  std::vector<bool> alive_;  // expert nodes
  int32_t preemptions_ = 0;
};

}  // namespace atoll::cluster_test
