#include "expert_node/expert_store.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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

// For the calling thread alone, and for good: what is served meanwhile comes first. The lowest nice value, not SCHED_IDLE:
// on processors that are never idle a load must end, too.
void LowerPriority() {
  if (setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19) != 0) LogWarning("cannot lower the priority of loading experts");
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
    : checkpoint_(checkpoint), context_{isa, nullptr}, options_(std::move(options)),
      source_bytes_(static_cast<uint64_t>(model::ExpertBytes(checkpoint.config()))) {
  const model::ModelConfig& config = checkpoint.config();
  loading_.assign(config.layers_total(), LayerExperts(config.gate.n_routed_experts));
  auto empty = std::make_shared<ExpertTable>();
  for (const LayerExperts& layer : loading_) empty->layers.push_back(std::make_shared<const LayerExperts>(layer));
  table_ = std::move(empty);
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
  std::lock_guard lock(mutex_);
  return {table_->loaded_epoch, loaded_experts_ * source_bytes_, to_load_experts_ * source_bytes_};
}

std::vector<node::LayerExperts> ExpertStore::Loaded() const {
  const auto table = Table();
  std::vector<node::LayerExperts> loaded;
  for (size_t layer = 0; layer < table->layers.size(); ++layer) {
    node::LayerExperts of_layer{static_cast<int32_t>(layer), {}};
    for (size_t expert = 0; expert < table->layers[layer]->size(); ++expert)
      if (table->Find(layer, expert) != nullptr) of_layer.experts.push_back(static_cast<int32_t>(expert));
    if (!of_layer.experts.empty()) loaded.push_back(std::move(of_layer));
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

struct ExpertStore::LoadWork {
  const node::Assignment& assignment;
  std::vector<model::ExpertId> missing;
  bool publishes = false;  // what is loaded so far, now and then; only while one thread loads
  LoadLog log;
  std::atomic<size_t> next{0};
  std::mutex mutex;
  absl::Status status;  // guarded by mutex, as is log; the first thing that went wrong
};

absl::Status ExpertStore::LoadAssignment(const node::Assignment& assignment) {
  const bool serves = loading_epoch_ > 0;
  if (!serves) DropUnassigned(assignment);  // of a first load that was given up: the threads below find room
  std::vector<model::ExpertId> missing;
  std::copy_if(assignment.experts.begin(), assignment.experts.end(), std::back_inserter(missing),
               [&](model::ExpertId id) { return At(id) == nullptr; });
  const uint64_t bytes = missing.size() * source_bytes_;
  SetToLoad(missing.size());
  LoadWork work{assignment, std::move(missing), serves, LoadLog(bytes), {}, {}, {}};
  std::vector<std::thread> loaders;
  for (int i = 0; i < (serves ? 1 : options_.load_threads); ++i) {
    loaders.emplace_back([&] {
      if (serves) LowerPriority();
      LoadSome(work);
    });
  }
  for (std::thread& loader : loaders) loader.join();
  ATOLL_RETURN_IF_ERROR(work.status);
  loading_epoch_ = assignment.epoch;
  DropUnassigned(assignment);
  LogInfo("holds ", assignment.experts.size(), " experts of epoch ", assignment.epoch);
  return absl::OkStatus();
}

void ExpertStore::LoadSome(LoadWork& work) {
  for (size_t i = work.next++; i < work.missing.size(); i = work.next++) {
    const absl::Status status = LoadExpert(work.missing[i], work.assignment);
    std::lock_guard lock(work.mutex);
    work.status.Update(status);
    if (!work.status.ok()) return;
    CountLoaded();
    work.log.Add(source_bytes_);
    if (work.publishes && i % kExpertsPerPublish == kExpertsPerPublish - 1) Publish();
  }
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
  bool dropped = loading_epoch_ == 0;  // by LoadAssignment
  while (!Superseded()) {
    if (const auto slot = slots_->Take(dropped ? kSlotWait : std::chrono::milliseconds(0))) return *slot;
    if (!dropped) DropUnassigned(assignment);
    dropped = true;
  }
  return -1;
}

void ExpertStore::DropUnassigned(const node::Assignment& assignment) {
  std::vector<std::vector<bool>> assigned(loading_.size(), std::vector<bool>(loading_[0].size(), false));
  for (model::ExpertId id : assignment.experts) assigned[id.layer][id.expert] = true;
  for (size_t layer = 0; layer < loading_.size(); ++layer)
    for (size_t expert = 0; expert < loading_[layer].size(); ++expert)
      if (!assigned[layer][expert]) loading_[layer][expert] = nullptr;
  // What is in flight under an older epoch runs with the table that it has.
  Publish();
}

void ExpertStore::SetToLoad(uint64_t experts) {
  std::lock_guard lock(mutex_);
  to_load_experts_ = experts;
}

void ExpertStore::CountLoaded() {
  std::lock_guard lock(mutex_);
  ++loaded_experts_;
  if (to_load_experts_ > 0) --to_load_experts_;
}

void ExpertStore::Publish() {
  auto table = std::make_shared<ExpertTable>(*Table());
  table->loaded_epoch = loading_epoch_;
  for (size_t layer = 0; layer < loading_.size(); ++layer)
    if (*table->layers[layer] != loading_[layer]) table->layers[layer] = std::make_shared<const LayerExperts>(loading_[layer]);
  const uint64_t loaded = LoadedExperts();
  std::shared_ptr<const ExpertTable> former;  // ends after the lock
  std::lock_guard lock(mutex_);
  former = std::exchange(table_, std::move(table));
  loaded_experts_ = loaded;
  if (table_->loaded_epoch == newest_epoch_) to_load_experts_ = 0;
}

uint64_t ExpertStore::LoadedExperts() const {
  uint64_t loaded = 0;
  for (const LayerExperts& layer : loading_) loaded += static_cast<uint64_t>(std::count_if(layer.begin(), layer.end(), [](const auto& r) { return r != nullptr; }));
  return loaded;
}

bool ExpertStore::Superseded() const {
  std::lock_guard lock(mutex_);
  return stop_ || wanted_.has_value();
}

}  // namespace atoll::expert_node
