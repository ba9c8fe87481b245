#include "expert_node/expert_store.h"

#include <gmock/gmock.h>

#include <chrono>
#include <random>
#include <set>
#include <thread>

#include "base/check.h"
#include "model/shard_plan.h"

namespace atoll::expert_node {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<model::Checkpoint> Tales() {
  auto checkpoint = model::Checkpoint::Open(ATOLL_SOURCE_DIR "/checkpoints/tales");
  ATOLL_CHECK(checkpoint.ok(), std::string(checkpoint.status().message()));
  return *std::move(checkpoint);
}

node::Assignment Experts(uint64_t epoch, int32_t layer, int32_t first, int32_t count) {
  node::Assignment assignment{epoch, {}};
  for (int32_t expert = first; expert < first + count; ++expert) assignment.experts.push_back({layer, expert});
  return assignment;
}

void AwaitEpoch(const ExpertStore& store, uint64_t epoch) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (store.State().loaded_epoch != epoch) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
}

class ExpertStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<ExpertStore> Make(int32_t slots) {
    auto probe = ExpertStore::Create(*checkpoint_, kernels::Isa::kReference, {.memory_bytes = 1 << 30, .load_threads = 1, .on_error = {}});
    ATOLL_CHECK(probe.ok(), std::string(probe.status().message()));
    const auto bytes = static_cast<uint64_t>((*probe)->expert_bytes());
    auto store = ExpertStore::Create(*checkpoint_, kernels::Isa::kReference, {.memory_bytes = slots * bytes + bytes / 2, .load_threads = 3, .on_error = {}});
    ATOLL_CHECK(store.ok(), std::string(store.status().message()));
    return *std::move(store);
  }

  const std::unique_ptr<model::Checkpoint> checkpoint_ = Tales();
};

TEST_F(ExpertStoreTest, LoadsWhatIsAssignedAndNothingElse) {
  const auto store = Make(8);
  EXPECT_EQ(store->slots(), 8);
  EXPECT_EQ(store->Table()->Find(2, 4), nullptr);
  store->Assign(Experts(3, 2, 4, 5));
  AwaitEpoch(*store, 3);
  const auto table = store->Table();
  for (int32_t expert = 0; expert < 32; ++expert) EXPECT_EQ(table->Find(2, expert) != nullptr, expert >= 4 && expert < 9) << expert;
  EXPECT_EQ(table->Find(3, 4), nullptr);
  EXPECT_EQ(store->State().loaded_bytes, 5u * model::ExpertBytes(checkpoint_->config()));
  EXPECT_EQ(store->State().to_load_bytes, 0u);
  ASSERT_EQ(store->Loaded().size(), 1u);
  EXPECT_EQ(store->Loaded()[0].layer, 2);
  EXPECT_THAT(store->Loaded()[0].experts, ::testing::ElementsAre(4, 5, 6, 7, 8));
}

TEST_F(ExpertStoreTest, WeightsAreTheCheckpoints) {
  const auto store = Make(2);
  store->Assign(Experts(1, 1, 7, 1));
  AwaitEpoch(*store, 1);
  const auto matrix = checkpoint_->ReadMatrix("model.layers.1.mlp.experts.7.down_proj.weight");
  ASSERT_TRUE(matrix.ok());
  const auto table = store->Table();
  const kernels::PackedMatrix& down = table->Find(1, 7)->down;
  ASSERT_EQ(down.outputs, matrix->rows);
  ASSERT_EQ(down.inputs, matrix->cols);
  for (int64_t row = 0; row < matrix->rows; row += 37)
    for (int64_t col = 0; col < matrix->cols; col += 11)
      EXPECT_EQ(kernels::PackedWeight(down, row, col), E4M3ToFloat(static_cast<uint8_t>(matrix->data[row * matrix->cols + col])));
}

TEST_F(ExpertStoreTest, AnAssignmentAddsAndThenFreesWhatItDoesNotName) {
  const auto store = Make(6);
  store->Assign(Experts(1, 1, 0, 3));
  AwaitEpoch(*store, 1);
  const auto before = store->Table();
  store->Assign(Experts(2, 1, 1, 4));
  AwaitEpoch(*store, 2);
  const auto table = store->Table();
  EXPECT_EQ(table->Find(1, 0), nullptr);
  for (int32_t expert = 1; expert < 5; ++expert) EXPECT_NE(table->Find(1, expert), nullptr);
  EXPECT_EQ(table->Find(1, 1), before->Find(1, 1)) << "what was there is not read again";
  EXPECT_EQ(table->layers[2], before->layers[2]) << "other layers are shared";
  EXPECT_NE(before->Find(1, 0), nullptr) << "a batch keeps what it started with";
  EXPECT_EQ(store->State().loaded_bytes, 4u * model::ExpertBytes(checkpoint_->config()));
  EXPECT_EQ(store->State().to_load_bytes, 0u);
}

// Each replica is served from its own slot through every move; none is served before it is there.
TEST_F(ExpertStoreTest, ManyMovesNeverExceedTheSlots) {
  const auto store = Make(5);
  std::mt19937 random(7);
  for (uint64_t epoch = 1; epoch <= 40; ++epoch) {
    store->Assign(Experts(epoch, 1 + static_cast<int32_t>(random() % 2), static_cast<int32_t>(random() % 28), 1 + static_cast<int32_t>(random() % 5)));
    if (epoch % 3 == 0) AwaitEpoch(*store, epoch);
    std::set<int32_t> slots;
    const auto table = store->Table();
    for (const auto& layer : table->layers)
      for (const auto& replica : *layer) EXPECT_TRUE(replica == nullptr || slots.insert(replica->slot).second);
    EXPECT_LE(slots.size(), 5u);
  }
}

TEST_F(ExpertStoreTest, ASlotInUseIsNeverOverwritten) {
  const auto store = Make(2);
  store->Assign(Experts(1, 1, 0, 2));
  AwaitEpoch(*store, 1);
  auto in_use = store->Table();
  const std::byte first = in_use->Find(1, 0)->gate.data[1024];
  store->Assign(Experts(2, 1, 4, 2));
  while (store->Table()->Find(1, 0) != nullptr) std::this_thread::yield();
  EXPECT_NE(store->State().loaded_epoch, 2u) << "both slots are held by the running batch";
  EXPECT_EQ(in_use->Find(1, 0)->gate.data[1024], first);
  in_use = nullptr;
  AwaitEpoch(*store, 2);
}

TEST_F(ExpertStoreTest, NonsensicalAssignmentsChangeNothing) {
  const auto store = Make(4);
  store->Assign(Experts(5, 1, 0, 4));
  AwaitEpoch(*store, 5);
  store->Assign(Experts(6, 1, 0, 5));   // more than fit
  store->Assign(Experts(6, 0, 0, 1));   // a dense layer
  store->Assign(Experts(6, 1, 32, 1));  // no such expert
  store->Assign(Experts(6, 99, 0, 1));  // no such layer
  node::Assignment twice = Experts(6, 1, 3, 1);
  twice.experts.push_back(twice.experts[0]);
  store->Assign(twice);
  store->Assign(Experts(4, 1, 8, 1));  // of the past
  store->Assign(Experts(7, 1, 1, 1));
  AwaitEpoch(*store, 7);
  EXPECT_EQ(store->Table()->Find(1, 8), nullptr);
}

TEST_F(ExpertStoreTest, RefusesMemoryForLessThanOneExpert) {
  const auto store = ExpertStore::Create(*checkpoint_, kernels::Isa::kReference, {.memory_bytes = 1000, .load_threads = 1, .on_error = {}});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(store.status().message()), ::testing::HasSubstr("--expert-memory-bytes is 1000"));
}

}  // namespace
}  // namespace atoll::expert_node
