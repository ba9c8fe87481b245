#pragma once

// The nodes of an InMemoryCluster: a core, its end of the network, and the thread that runs it.

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "attention_node/expert_client.h"
#include "expert_node/core.h"
#include "kernels/cpu/compute_pool.h"
#include "net/link_ticker.h"
#include "tests/cluster/in_memory_cluster.h"

namespace atoll::cluster_test {

// Runs a loop body until destroyed.
class LoopThread {
 public:
  template <typename Body>
  LoopThread(net::LinkHost& host, Body body) : host_(host), thread_([this, body] { while (!stop_) body(); }) {}
  ~LoopThread() {
    stop_ = true;
    host_.Wake();
    thread_.join();
  }

 private:
  net::LinkHost& host_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class ExpertMember {
 public:
  ExpertMember(const model::Checkpoint& checkpoint, net::MemoryNetwork& network, const ClusterShape& shape, std::string name, uint64_t incarnation);

  // Loads the assignment and returns when it is there.
  void Load(node::Assignment assignment);
  node::ExpertPeer peer() const { return {name_, incarnation_, name_, 1, true}; }
  expert_node::ExpertCore& core() { return *core_; }
  const std::string& name() const { return name_; }

 private:
  const std::string name_;
  const uint64_t incarnation_;
  const SteadyClock clock_;
  kernels::ComputePool pool_;
  std::unique_ptr<expert_node::ExpertStore> store_;
  std::unique_ptr<expert_node::ExpertCore> core_;
  std::unique_ptr<net::LinkHost> host_;
  std::unique_ptr<net::LinkTicker> ticker_;
  std::unique_ptr<LoopThread> thread_;
};

class AttentionMember final : public attention_node::EventSink {
 public:
  AttentionMember(const model::Checkpoint& checkpoint, const attention_node::AttentionShard& shard, net::MemoryNetwork& network,
                  const ClusterShape& shape, std::string name);

  attention_node::AttentionCore& core() { return *core_; }
  attention_node::ExpertClient& client() { return client_; }
  const std::string& name() const { return name_; }

  void OnEvents(std::span<attention_node::SequenceEvent> events) override;
  // Waits until done(outcome) for what the sequence has brought so far; false after a minute.
  template <typename Condition>
  bool Await(attention_node::SequenceKey key, Condition done, Outcome* outcome) {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, std::chrono::minutes(1), [&] { return done(outcomes_[key]); });
    *outcome = outcomes_[key].outcome;
    return came;
  }

  struct Progress {
    Outcome outcome;
    bool ended = false;
  };

 private:
  const std::string name_;
  const SteadyClock clock_;
  kernels::ComputePool pool_;
  attention_node::ExpertClient client_;
  std::unique_ptr<net::LinkHost> host_;
  std::unique_ptr<net::LinkTicker> ticker_;
  std::unique_ptr<attention_node::AttentionCore> core_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<attention_node::SequenceKey, Progress> outcomes_;  // guarded by mutex_
  std::unique_ptr<LoopThread> thread_;
};

}  // namespace atoll::cluster_test
