#include "expert_node/expert_store.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "model/load_progress.h"
#include "model/shard_plan.h"
#include "model/tensor_catalogue.h"
#include "node/packed_shard.h"

namespace atoll::expert_node {
namespace {

using model::ExpertMatrix;
constexpr std::array<ExpertMatrix, 3> kMatrices{ExpertMatrix::kGate, ExpertMatrix::kUp, ExpertMatrix::kDown};
constexpr int kExpertsPerPublish = 64;
constexpr auto kSlotWait = std::chrono::milliseconds(100);

node::PackItem ItemOf(model::ExpertId id, ExpertMatrix matrix, kernels::PackedMatrix* destination) {
  return {model::ExpertTensorName(id.layer, id.expert, matrix), {}, false, destination};
}

// Says how a load goes, once a second and at its end.
class LoadLog {
 public:
  explicit LoadLog(uint64_t bytes_total) { progress_.bytes_total = bytes_total; }

  void Add(uint64_t bytes) {
    progress_.bytes_done += bytes;
    const auto now = std::chrono::steady_clock::now();
    progress_.seconds = std::chrono::duration<double>(now - start_).count();
    if (now - said_ < std::chrono::seconds(1) && progress_.bytes_done < progress_.bytes_total) return;
    said_ = now;
    LogInfo("loading experts: ", progress_.ToString());
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point said_ = start_;
  model::LoadProgress progress_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ExpertStore>> ExpertStore::Create(const model::Checkpoint& checkpoint, kernels::Isa isa,
                                                                 ExpertStoreOptions options) {
  std::unique_ptr<ExpertStore> store(new ExpertStore(checkpoint, isa, std::move(options)));
  ATOLL_RETURN_IF_ERROR(store->SizeSlots());
  store->loader_ = std::thread([raw = store.get()] { raw->LoadLoop(); });
  return store;
}

ExpertStore::ExpertStore(const model::Checkpoint& checkpoint, kernels::Isa isa, ExpertStoreOptions options)
    : checkpoint_(checkpoint), context_{isa, nullptr}, options_(std::move(options)) {
  const model::ModelConfig& config = checkpoint.config();
  loading_.experts = config.gate.n_routed_experts;
  loading_.replicas.resize(config.layers_total() * loading_.experts);
  table_ = std::make_shared<ExpertTable>(loading_);
}

ExpertStore::~ExpertStore() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wanted_changed_.notify_all();
  if (loader_.joinable()) loader_.join();
}

absl::Status ExpertStore::SizeSlots() {
  const auto all = model::AllExperts(checkpoint_.config(), checkpoint_.has_mtp());
  if (all.empty()) return absl::InvalidArgumentError("the model has no routed experts");
  for (size_t m = 0; m < kMatrices.size(); ++m) {
    kernels::PackedMatrix unused;
    ATOLL_ASSIGN_OR_RETURN(matrix_bytes_[m], node::PackedItemBytes(checkpoint_, ItemOf(all[0], kMatrices[m], &unused)));
    expert_bytes_ += matrix_bytes_[m];
  }
  const uint64_t fitting = options_.memory_bytes / static_cast<uint64_t>(expert_bytes_);
  if (fitting == 0)
    return absl::ResourceExhaustedError(absl::StrCat("--expert-memory-bytes is ", options_.memory_bytes, ", but one expert of this model takes ",
                                                     expert_bytes_, " bytes"));
  slots_ = std::make_shared<ExpertSlots>(static_cast<int32_t>(std::min<uint64_t>(fitting, all.size())), expert_bytes_);
  return absl::OkStatus();
}

void ExpertStore::Assign(node::Assignment assignment) {
  if (const absl::Status status = Check(assignment); !status.ok()) {
    LogError("assignment of epoch ", assignment.epoch, " is ignored: ", std::string(status.message()));
    return;
  }
  {
    std::lock_guard lock(mutex_);
    if (assignment.epoch < newest_epoch_) return;
    newest_epoch_ = assignment.epoch;
    to_load_experts_ = assignment.experts.size();
    wanted_ = std::move(assignment);
  }
  wanted_changed_.notify_all();
}

absl::Status ExpertStore::Check(const node::Assignment& assignment) const {
  if (assignment.experts.size() > static_cast<size_t>(slots()))
    return absl::ResourceExhaustedError(absl::StrCat("it names ", assignment.experts.size(), " experts, this node holds at most ", slots()));
  const model::Placement shape = model::EmptyPlacement(checkpoint_.config(), checkpoint_.has_mtp());
  std::set<model::ExpertId> seen;
  for (model::ExpertId id : assignment.experts) {
    if (!shape.Contains(id)) return absl::InvalidArgumentError(absl::StrCat("there is no expert ", id.expert, " in layer ", id.layer));
    if (!seen.insert(id).second) return absl::InvalidArgumentError(absl::StrCat("layer ", id.layer, " expert ", id.expert, " is named twice"));
  }
  return absl::OkStatus();
}

std::shared_ptr<const ExpertTable> ExpertStore::Table() const {
  std::lock_guard lock(mutex_);
  return table_;
}

ExpertStore::LoadState ExpertStore::State() const {
  const auto bytes = static_cast<uint64_t>(model::ExpertBytes(checkpoint_.config()));
  std::lock_guard lock(mutex_);
  return {table_->loaded_epoch, loaded_experts_ * bytes, to_load_experts_ * bytes};
}

std::vector<node::LayerExperts> ExpertStore::Loaded() const {
  const auto table = Table();
  std::vector<node::LayerExperts> loaded;
  for (size_t i = 0; i < table->replicas.size(); ++i) {
    if (table->replicas[i] == nullptr) continue;
    const auto layer = static_cast<int32_t>(i / table->experts);
    if (loaded.empty() || loaded.back().layer != layer) loaded.push_back({layer, {}});
    loaded.back().experts.push_back(static_cast<int32_t>(i % table->experts));
  }
  return loaded;
}

void ExpertStore::LoadLoop() {
  while (std::optional<node::Assignment> assignment = AwaitWanted()) {
    const absl::Status status = LoadAssignment(*assignment);
    if (status.ok() || absl::IsCancelled(status)) continue;
    LogError("cannot load experts: ", std::string(status.message()));
    if (options_.on_error) options_.on_error(status);
  }
}

std::optional<node::Assignment> ExpertStore::AwaitWanted() {
  std::unique_lock lock(mutex_);
  wanted_changed_.wait(lock, [&] { return stop_ || wanted_.has_value(); });
  if (stop_) return std::nullopt;
  return std::exchange(wanted_, std::nullopt);
}

absl::Status ExpertStore::LoadAssignment(const node::Assignment& assignment) {
  std::vector<model::ExpertId> missing;
  std::copy_if(assignment.experts.begin(), assignment.experts.end(), std::back_inserter(missing),
               [&](model::ExpertId id) { return At(id) == nullptr; });
  const auto expert_bytes = static_cast<uint64_t>(model::ExpertBytes(checkpoint_.config()));
  LoadLog log(missing.size() * expert_bytes);
  for (size_t i = 0; i < missing.size(); ++i) {
    ATOLL_RETURN_IF_ERROR(LoadExpert(missing[i], assignment));
    log.Add(expert_bytes);
    if (i % kExpertsPerPublish == kExpertsPerPublish - 1) Publish(missing.size() - i - 1);
  }
  loading_.loaded_epoch = assignment.epoch;
  Publish(0);
  LogInfo("holds ", assignment.experts.size(), " experts of epoch ", assignment.epoch);
  return absl::OkStatus();
}

absl::Status ExpertStore::LoadExpert(model::ExpertId id, const node::Assignment& assignment) {
  const int32_t slot = AwaitSlot(assignment);
  if (slot < 0) return absl::CancelledError("a newer assignment came");
  auto replica = std::make_shared<Replica>(slots_, slot);
  const std::array<kernels::PackedMatrix*, 3> to{&replica->gate, &replica->up, &replica->down};
  std::span<std::byte> free = slots_->Bytes(slot);
  for (size_t m = 0; m < kMatrices.size(); ++m) {
    const node::PackItem item = ItemOf(id, kMatrices[m], to[m]);
    ATOLL_ASSIGN_OR_RETURN(const model::HostMatrix matrix, checkpoint_.ReadMatrix(item.tensor));
    ATOLL_RETURN_IF_ERROR(node::PackItemInto(matrix, item, context_, free.first(static_cast<size_t>(matrix_bytes_[m]))));
    free = free.subspan(static_cast<size_t>(matrix_bytes_[m]));
  }
  At(id) = std::move(replica);
  return absl::OkStatus();
}

// -1 when this assignment is no longer wanted.
int32_t ExpertStore::AwaitSlot(const node::Assignment& assignment) {
  bool dropped = false;
  while (!Superseded()) {
    if (const auto slot = slots_->Take(dropped ? kSlotWait : std::chrono::milliseconds(0))) return *slot;
    if (!dropped) DropUnassigned(assignment);
    dropped = true;
  }
  return -1;
}

void ExpertStore::DropUnassigned(const node::Assignment& assignment) {
  std::vector<bool> assigned(loading_.replicas.size(), false);
  for (model::ExpertId id : assignment.experts) assigned[id.layer * loading_.experts + id.expert] = true;
  for (size_t i = 0; i < assigned.size(); ++i)
    if (!assigned[i]) loading_.replicas[i] = nullptr;
  // The old epoch is no longer held whole; what is in flight under it runs with the table that it has.
  Publish(assignment.experts.size());
}

void ExpertStore::Publish(uint64_t to_load) {
  auto table = std::make_shared<const ExpertTable>(loading_);
  const auto loaded = static_cast<uint64_t>(
      std::count_if(table->replicas.begin(), table->replicas.end(), [](const auto& replica) { return replica != nullptr; }));
  std::shared_ptr<const ExpertTable> former;
  std::lock_guard lock(mutex_);
  former = std::exchange(table_, std::move(table));
  loaded_experts_ = loaded;
  to_load_experts_ = to_load;
}

bool ExpertStore::Superseded() const {
  std::lock_guard lock(mutex_);
  return stop_ || wanted_.has_value();
}

}  // namespace atoll::expert_node
