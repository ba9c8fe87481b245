#pragma once

// The replicas that this node holds. An assignment is loaded in the background, one expert at a time, into slots of one
// buffer that was sized at start; what is loaded is published as an immutable table, so that serving never waits. Only what
// an assignment adds is read. Replicas that it does not name serve until it is loaded whole, or their slot is needed; a slot
// is used again when no batch uses it.

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/status.h"
#include "expert_node/expert_slots.h"
#include "expert_node/expert_table.h"
#include "kernels/context.h"
#include "model/checkpoint.h"
#include "node/cluster.h"

namespace atoll::expert_node {

struct ExpertStoreOptions {
  uint64_t memory_bytes = 0;  // for packed weights
  int load_threads = 1;       // of the first load, when nothing is served yet; later ones take one, of low priority
  // Called on the loading thread when the checkpoint has an expert that cannot be read; the node cannot do its part.
  std::function<void(const absl::Status&)> on_error;
};

// Thread-safe.
class ExpertStore {
 public:
  // `checkpoint` outlives the store. ResourceExhausted when not one expert fits into memory_bytes.
  static absl::StatusOr<std::unique_ptr<ExpertStore>> Create(const model::Checkpoint& checkpoint, kernels::Isa isa,
                                                             ExpertStoreOptions options);
  ~ExpertStore();

  // Loads in the background; a newer assignment replaces one that still loads. One of a lower epoch is ignored.
  void Assign(node::Assignment assignment);
  std::shared_ptr<const ExpertTable> Table() const;

  struct LoadState {
    uint64_t loaded_epoch = 0;
    uint64_t loaded_bytes = 0;
    uint64_t to_load_bytes = 0;
  };
  LoadState State() const;
  std::vector<node::LayerExperts> Loaded() const;

  int64_t expert_bytes() const { return expert_bytes_; }  // packed
  int32_t slots() const { return slots_->count(); }

 private:
  struct LoadWork;

  ExpertStore(const model::Checkpoint& checkpoint, kernels::Isa isa, ExpertStoreOptions options);
  absl::Status SizeSlots();
  absl::Status Check(const node::Assignment& assignment) const;
  void LoadLoop();
  std::optional<node::Assignment> AwaitWanted();
  absl::Status LoadAssignment(const node::Assignment& assignment);
  void LoadSome(LoadWork& work);
  absl::Status LoadExpert(model::ExpertId id, const node::Assignment& assignment);
  int32_t AwaitSlot(const node::Assignment& assignment);
  void DropUnassigned(const node::Assignment& assignment);
  void SetToLoad(uint64_t experts);
  void CountLoaded();
  uint64_t LoadedExperts() const;
  void Publish();
  bool Superseded() const;
  std::shared_ptr<const Replica>& At(model::ExpertId id) { return loading_[id.layer][id.expert]; }

  const model::Checkpoint& checkpoint_;
  const kernels::Context context_;
  const ExpertStoreOptions options_;
  const uint64_t source_bytes_;  // of an expert in the checkpoint
  int64_t expert_bytes_ = 0;     // packed
  std::array<int64_t, 3> matrix_bytes_{};  // gate, up, down
  std::shared_ptr<ExpertSlots> slots_;

  std::vector<LayerExperts> loading_;  // [layers] the loading threads' own: each writes other entries
  uint64_t loading_epoch_ = 0;         // as ExpertTable::loaded_epoch

  mutable std::mutex mutex_;
  std::condition_variable wanted_changed_;
  std::optional<node::Assignment> wanted_;      // guarded by mutex_; what to load next
  uint64_t newest_epoch_ = 0;                   // guarded by mutex_
  std::shared_ptr<const ExpertTable> table_;    // guarded by mutex_; shared with batches that run
  uint64_t loaded_experts_ = 0;                 // guarded by mutex_
  uint64_t to_load_experts_ = 0;                // guarded by mutex_
  bool stop_ = false;                           // guarded by mutex_
  std::thread loader_;
};

}  // namespace atoll::expert_node
