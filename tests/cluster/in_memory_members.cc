#include "tests/cluster/in_memory_members.h"

#include "base/check.h"

namespace atoll::cluster_test {
namespace {

constexpr auto kIdle = std::chrono::milliseconds(50);

template <typename T>
T Must(absl::StatusOr<T> value) {
  ATOLL_CHECK(value.ok(), std::string(value.status().message()));
  return *std::move(value);
}

net::LinkHostOptions HostOptions(const ClusterShape& shape, const std::string& name, uint64_t incarnation) {
  net::LinkHostOptions options;
  options.name = name;
  options.incarnation = incarnation;
  options.peer_silence_ms = shape.peer_silence_ms;
  return options;
}

}  // namespace

ExpertMember::ExpertMember(const model::Checkpoint& checkpoint, net::MemoryNetwork& network, const ClusterShape& shape, std::string name,
                           uint64_t incarnation)
    : name_(std::move(name)), incarnation_(incarnation), pool_({.threads = shape.threads}) {
  store_ = Must(expert_node::ExpertStore::Create(checkpoint, shape.isa, {.memory_bytes = 64 << 20, .load_threads = 1, .on_error = {}}));
  expert_node::CoreOptions options;
  options.activation_dtype = shape.core.activation_dtype;
  options.incarnation = incarnation;
  options.parts_max = 256;
  core_ = std::make_unique<expert_node::ExpertCore>(
      options, expert_node::CoreParts{&checkpoint, store_.get(), {shape.isa, &pool_}, &clock_});
  host_ = Must(network.OpenHost(HostOptions(shape, name_, incarnation), *core_));
  core_->Attach(host_.get());
  ticker_ = std::make_unique<net::LinkTicker>(*host_);
  thread_ = std::make_unique<LoopThread>(*host_, [this] { core_->RunOnce(kIdle); });
}

void ExpertMember::Load(node::Assignment assignment) {
  const uint64_t epoch = assignment.epoch;
  store_->Assign(std::move(assignment));
  while (store_->State().loaded_epoch != epoch) std::this_thread::yield();
}

AttentionMember::AttentionMember(const model::Checkpoint& checkpoint, const attention_node::AttentionShard& shard,
                                 net::MemoryNetwork& network, const ClusterShape& shape, std::string name)
    : name_(std::move(name)), pool_({.threads = shape.threads}), client_({.dispatch_timeout_ms = shape.dispatch_timeout_ms, .refused_wait_ms = shape.dispatch_timeout_ms}, clock_) {
  host_ = Must(network.OpenHost(HostOptions(shape, name_, 1), client_));
  client_.SetHost(host_.get());
  ticker_ = std::make_unique<net::LinkTicker>(*host_);
  attention_node::CoreParts parts;
  parts.shard = &shard;
  for (int64_t id : checkpoint.config().eos_token_ids) parts.eos_ids.push_back(static_cast<int32_t>(id));
  parts.kernels = {shape.isa, &pool_};
  parts.exchange = &client_;
  parts.sink = this;
  parts.clock = &clock_;
  core_ = Must(attention_node::AttentionCore::Create(shape.core, parts));
  thread_ = std::make_unique<LoopThread>(*host_, [this] { core_->RunOnce(kIdle); });
}

void AttentionMember::OnEvents(std::span<attention_node::SequenceEvent> events) {
  std::lock_guard lock(mutex_);
  for (attention_node::SequenceEvent& event : events) {
    Progress& progress = outcomes_[event.key];
    ATOLL_CHECK(!progress.ended, "an event after the last one");
    for (attention_node::SampledToken& token : event.tokens) progress.outcome.tokens.push_back(std::move(token));
    if (!event.end) continue;
    progress.outcome.end = *event.end;
    progress.ended = true;
  }
  changed_.notify_all();
}

}  // namespace atoll::cluster_test
