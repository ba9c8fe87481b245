#include "expert_node/core.h"

#include <gmock/gmock.h>

#include <cstring>
#include <optional>
#include <random>

#include "net/memory/memory_network.h"
#include "tests/expert_node/dispatch_frame.h"

namespace atoll::expert_node {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr int32_t kLayer = 2;
constexpr int32_t kExpertsLoaded = 16;

// An attention node's end of a link: keeps what comes back.
class Caller final : public net::LinkHandler {
 public:
  struct Frame {
    net::FrameHeader header;
    std::vector<std::byte> payload;
  };
  void OnFrame(net::Link&, const net::FrameHeader& header, std::span<const std::byte> payload) override {
    frames.push_back({header, {payload.begin(), payload.end()}});
  }
  void OnOpen(net::Link&) override { open = true; }
  void OnClosed(net::Link&, const absl::Status& reason) override { closed = reason; }

  std::vector<Frame> frames;
  bool open = false;
  std::optional<absl::Status> closed;
};

// One expert node with half the experts of one layer, and callers, all polled by the test's thread; time stands still
// unless moved.
class CoreTest : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    auto checkpoint = model::Checkpoint::Open(ATOLL_SOURCE_DIR "/checkpoints/tales");
    ASSERT_TRUE(checkpoint.ok());
    checkpoint_ = *std::move(checkpoint);
    auto store = ExpertStore::Create(*checkpoint_, kernels::Isa::kReference, {.memory_bytes = 64 << 20, .load_threads = 1, .on_error = {}});
    ASSERT_TRUE(store.ok());
    store_ = *std::move(store);
    node::Assignment assignment{1, {}};
    for (int32_t expert = 0; expert < kExpertsLoaded; ++expert) assignment.experts.push_back({kLayer, expert});
    store_->Assign(assignment);
    while (store_->State().loaded_epoch != 1) std::this_thread::yield();
    MakeCore({});
  }

  void MakeCore(CoreOptions options) {
    host_.reset();
    options.activation_dtype = GetParam();
    options.incarnation = 77;
    core_ = std::make_unique<ExpertCore>(options, CoreParts{checkpoint_.get(), store_.get(), {kernels::Isa::kReference, nullptr}, &clock_});
    auto host = network_.OpenHost({.name = "expert", .incarnation = 77}, *core_);
    ASSERT_TRUE(host.ok());
    host_ = *std::move(host);
    core_->Attach(host_.get());
  }

  node::SessionRequest Request(const std::string& name) const {
    return {name, 5, 77, 1, node::TermsOf(checkpoint_->config(), checkpoint_->fingerprint(), GetParam())};
  }

  net::Link* Connect(const std::string& name, Caller& caller, std::unique_ptr<net::LinkHost>& host) {
    host = *network_.OpenHost({.name = name, .incarnation = 5}, caller);
    const auto ticket = core_->Mint(Request(name));
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    net::Link* link = *host->Connect(*ticket);
    Turn(host.get());
    EXPECT_TRUE(caller.open);
    return link;
  }

  void Turn(net::LinkHost* caller, int times = 8) {
    for (int i = 0; i < times; ++i) {
      core_->RunOnce(0ns);
      if (caller != nullptr) caller->Poll(0ns);
    }
  }

  DispatchFrame RandomDispatch(uint32_t rows, const std::vector<net::Pair>& pairs, uint32_t seed) {
    DispatchFrame frame = MakeDispatch(core_->terms().limits, rows, pairs, 0);
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const auto element = DTypeBytes(GetParam());
    for (int64_t i = 0; i < rows * checkpoint_->config().hidden_size; ++i)
      PutValue(frame.payload.data() + i * element, GetParam(), normal(random));
    frame.header.layer = kLayer;
    frame.header.step = seed;
    frame.header.epoch = 1;
    return frame;
  }

  // What the kernels say about one row and one expert alone.
  std::vector<std::byte> Expected(const DispatchFrame& frame, net::Pair pair) {
    const int64_t hidden = checkpoint_->config().hidden_size;
    const Replica* replica = store_->Table()->Find(kLayer, pair.expert);
    std::vector<std::byte> row(hidden * DTypeBytes(GetParam())), out(row.size());
    std::memcpy(row.data(), frame.payload.data() + pair.row * row.size(), row.size());
    kernels::GroupedExperts kernel({.pairs_max = 1, .intermediate_max = checkpoint_->config().moe_intermediate_size});
    const kernels::ExpertGroup group{replica->gate, replica->up, replica->down, 0, 1};
    const MatrixView x{row.data(), GetParam(), 1, hidden, hidden}, y{out.data(), GetParam(), 1, hidden, hidden};
    const std::vector<int32_t> rows{0};
    EXPECT_TRUE(kernel.Run({kernels::Isa::kReference, nullptr}, {&group, 1}, x, rows, y).ok());
    return out;
  }

  static absl::Status Send(net::Link* link, const DispatchFrame& frame) {
    const std::span<const std::byte> piece(frame.payload);
    return link->Send(frame.header, {&piece, 1});
  }

  ManualClock clock_;
  net::MemoryNetwork network_{clock_};
  std::unique_ptr<model::Checkpoint> checkpoint_;
  std::unique_ptr<ExpertStore> store_;
  std::unique_ptr<ExpertCore> core_;
  std::unique_ptr<net::LinkHost> host_;
};

TEST_P(CoreTest, AnswersInPairOrderWithTheBitsOfTheRowAlone) {
  Caller caller;
  std::unique_ptr<net::LinkHost> host;
  net::Link* link = Connect("a", caller, host);
  const std::vector<net::Pair> pairs{{0, 9}, {0, 3}, {1, 3}, {2, 0}, {2, 9}, {2, 15}};
  const DispatchFrame frame = RandomDispatch(3, pairs, 1);
  ASSERT_TRUE(Send(link, frame).ok());
  Turn(host.get());
  ASSERT_EQ(caller.frames.size(), 1u);
  const Caller::Frame& answer = caller.frames[0];
  EXPECT_EQ(answer.header.type, net::FrameType::kResult);
  EXPECT_EQ(answer.header.step, frame.header.step);
  EXPECT_EQ(answer.header.layer, kLayer);
  const auto body = net::ResultBody::Parse(answer.header, answer.payload, core_->terms().limits);
  ASSERT_TRUE(body.ok());
  ASSERT_EQ(body->pair_count(), pairs.size());
  for (size_t p = 0; p < pairs.size(); ++p) {
    const auto row = body->Row(static_cast<uint32_t>(p));
    EXPECT_EQ(std::vector<std::byte>(row.begin(), row.end()), Expected(frame, pairs[p])) << "pair " << p;
  }
  EXPECT_EQ(core_->counters().rows_run, pairs.size());
}

TEST_P(CoreTest, RowsOfSeveralNodesRunTogetherAndEachGetsItsOwn) {
  std::array<Caller, 3> callers;
  std::array<std::unique_ptr<net::LinkHost>, 3> hosts;
  std::array<net::Link*, 3> links{};
  std::array<DispatchFrame, 3> frames;
  for (uint32_t i = 0; i < 3; ++i) links[i] = Connect("a" + std::to_string(i), callers[i], hosts[i]);
  for (uint32_t i = 0; i < 3; ++i) {
    frames[i] = RandomDispatch(2, {{0, 4}, {1, uint16_t(4 + i)}}, 10 + i);
    ASSERT_TRUE(Send(links[i], frames[i]).ok());
  }
  Turn(nullptr, 2);
  EXPECT_EQ(core_->counters().batches, 1u) << "one pass over the weights for all three";
  for (uint32_t i = 0; i < 3; ++i) {
    hosts[i]->Poll(0ns);
    ASSERT_EQ(callers[i].frames.size(), 1u);
    const auto body = net::ResultBody::Parse(callers[i].frames[0].header, callers[i].frames[0].payload, core_->terms().limits);
    ASSERT_TRUE(body.ok());
    const auto row = body->Row(1);
    EXPECT_EQ(std::vector<std::byte>(row.begin(), row.end()), Expected(frames[i], {1, uint16_t(4 + i)}));
  }
}

TEST_P(CoreTest, WaitsForTheOtherPartsOfADispatchForABoundedTime) {
  Caller caller;
  std::unique_ptr<net::LinkHost> host;
  net::Link* link = Connect("a", caller, host);
  DispatchFrame frame = RandomDispatch(1, {{0, 1}}, 1);
  frame.header.parts = 3;
  ASSERT_TRUE(Send(link, frame).ok());
  frame.header.part = 1;
  ASSERT_TRUE(Send(link, frame).ok());
  Turn(host.get());
  EXPECT_EQ(caller.frames.size(), 0u);
  clock_.AdvanceNs(10'000'000);
  Turn(host.get());
  ASSERT_EQ(caller.frames.size(), 2u);
  EXPECT_EQ(caller.frames[1].header.part, 1);
}

TEST_P(CoreTest, B57_AnExpertThatIsNotHereIsRefusedByType) {
  Caller caller;
  std::unique_ptr<net::LinkHost> host;
  net::Link* link = Connect("a", caller, host);
  ASSERT_TRUE(Send(link, RandomDispatch(1, {{0, 1}, {0, kExpertsLoaded}}, 1)).ok());
  DispatchFrame dense = RandomDispatch(1, {{0, 1}}, 2);
  dense.header.layer = 0;
  ASSERT_TRUE(Send(link, dense).ok());
  Turn(host.get());
  ASSERT_EQ(caller.frames.size(), 2u);
  for (const Caller::Frame& frame : caller.frames) {
    EXPECT_EQ(frame.header.type, net::FrameType::kRefuse);
    EXPECT_EQ(frame.header.code, static_cast<uint16_t>(net::RefuseReason::kNotOwned));
  }
  EXPECT_EQ(core_->counters().rows_run, 0u);
}

TEST_P(CoreTest, B57_APairOutsideItsPartIsRefusedAndTheLinkGoesOn) {
  Caller caller;
  std::unique_ptr<net::LinkHost> host;
  net::Link* link = Connect("a", caller, host);
  ASSERT_TRUE(Send(link, RandomDispatch(1, {{1, 1}}, 1)).ok());
  ASSERT_TRUE(Send(link, RandomDispatch(1, {{0, 500}}, 2)).ok());
  ASSERT_TRUE(Send(link, RandomDispatch(1, {{0, 1}}, 3)).ok());
  Turn(host.get());
  ASSERT_EQ(caller.frames.size(), 3u);
  EXPECT_EQ(caller.frames[0].header.code, static_cast<uint16_t>(net::RefuseReason::kMalformed));
  EXPECT_EQ(caller.frames[1].header.code, static_cast<uint16_t>(net::RefuseReason::kMalformed));
  EXPECT_EQ(caller.frames[2].header.type, net::FrameType::kResult);
}

TEST_P(CoreTest, B59_AnOldEpochIsServedWhereTheReplicaIsLoaded) {
  Caller caller;
  std::unique_ptr<net::LinkHost> host;
  net::Link* link = Connect("a", caller, host);
  for (uint64_t epoch : {0, 1, 1000}) {
    DispatchFrame frame = RandomDispatch(1, {{0, 1}}, 1 + epoch);
    frame.header.epoch = epoch;
    ASSERT_TRUE(Send(link, frame).ok());
  }
  Turn(host.get());
  ASSERT_EQ(caller.frames.size(), 3u);
  for (const Caller::Frame& frame : caller.frames) EXPECT_EQ(frame.header.type, net::FrameType::kResult);
  EXPECT_EQ(caller.frames[2].header.epoch, 1000u);
}

TEST_P(CoreTest, RefusesWhatItHasNoRoomFor) {
  MakeCore({.parts_max = 2});
  Caller caller;
  std::unique_ptr<net::LinkHost> host;
  net::Link* link = Connect("a", caller, host);
  for (uint32_t step = 1; step <= 3; ++step) {
    DispatchFrame frame = RandomDispatch(1, {{0, 1}}, step);
    frame.header.parts = 2;
    ASSERT_TRUE(Send(link, frame).ok());
  }
  Turn(host.get());
  ASSERT_EQ(caller.frames.size(), 1u);
  EXPECT_EQ(caller.frames[0].header.code, static_cast<uint16_t>(net::RefuseReason::kOverloaded));
  EXPECT_EQ(caller.frames[0].header.step, 3u);
  clock_.AdvanceNs(10'000'000);
  Turn(host.get());
  EXPECT_EQ(caller.frames.size(), 3u) << "the two that were taken are answered";
}

TEST_P(CoreTest, DropsWhatIsCancelledOrTooLate) {
  Caller caller;
  std::unique_ptr<net::LinkHost> host;
  net::Link* link = Connect("a", caller, host);
  DispatchFrame frame = RandomDispatch(1, {{0, 1}}, 1);
  frame.header.parts = 2;
  ASSERT_TRUE(Send(link, frame).ok());
  net::FrameHeader cancel = frame.header;
  cancel.type = net::FrameType::kCancel;
  cancel.dtype = DType{};
  cancel.row_count = cancel.pair_count = cancel.payload_bytes = 0;
  ASSERT_TRUE(link->Send(cancel, {}).ok());
  DispatchFrame late = RandomDispatch(1, {{0, 1}}, 2);
  late.header.deadline_us = 1000;
  late.header.parts = 2;
  ASSERT_TRUE(Send(link, late).ok());
  Turn(host.get());
  clock_.AdvanceNs(20'000'000);
  Turn(host.get());
  EXPECT_EQ(caller.frames.size(), 0u);
  EXPECT_EQ(core_->counters().expired, 1u);
}

TEST_P(CoreTest, ResultsWaitForCreditAndArriveAllTheSame) {
  MakeCore({.batches_max = 2});
  Caller slow, other;
  std::unique_ptr<net::LinkHost> slow_host, other_host;
  net::Link* slow_link = Connect("slow", slow, slow_host);
  net::Link* other_link = Connect("other", other, other_host);
  // The slow caller's ticker takes in credit, but nobody there takes the results.
  uint32_t sent = 0;
  for (uint32_t step = 1; step <= 4 * core_->terms().window && slow_link->CanSend(); ++step, ++sent) {
    ASSERT_TRUE(Send(slow_link, RandomDispatch(1, {{0, uint16_t(step % 8)}}, step)).ok());
    core_->RunOnce(0ns);
    slow_host->Tick();
  }
  ASSERT_GT(sent, core_->terms().window) << "the results exceed what the caller has granted";
  for (uint64_t step = 1; step <= 3; ++step) {
    ASSERT_TRUE(Send(other_link, RandomDispatch(1, {{0, 2}}, step)).ok());
    Turn(other_host.get());
    EXPECT_EQ(other.frames.size(), step) << "the slow caller holds one batch, not both";
  }
  Turn(slow_host.get(), 500);
  EXPECT_EQ(slow.frames.size(), sent);
}

TEST_P(CoreTest, AClosedLinkFreesItsPartsAndDisturbsNobody) {
  MakeCore({.parts_max = 2});
  Caller gone, other;
  std::unique_ptr<net::LinkHost> gone_host, other_host;
  net::Link* gone_link = Connect("gone", gone, gone_host);
  net::Link* other_link = Connect("other", other, other_host);
  for (uint32_t step = 1; step <= 2; ++step) {
    DispatchFrame frame = RandomDispatch(1, {{0, 1}}, step);
    frame.header.parts = 2;
    ASSERT_TRUE(Send(gone_link, frame).ok());
  }
  Turn(other_host.get());
  network_.Disconnect("gone");
  Turn(other_host.get());
  for (uint32_t step = 1; step <= 2; ++step) ASSERT_TRUE(Send(other_link, RandomDispatch(1, {{0, 1}}, step)).ok());
  Turn(other_host.get());
  EXPECT_EQ(other.frames.size(), 2u);
  EXPECT_EQ(core_->counters().refused, 0u);
}

TEST_P(CoreTest, MintsNoSessionForAnotherModelShapeOrLife) {
  node::SessionRequest request = Request("a");
  request.terms.model_fingerprint ^= 1;
  EXPECT_EQ(core_->Mint(request).status().code(), absl::StatusCode::kFailedPrecondition);
  request = Request("a");
  request.terms.limits.hidden_size += 1;
  EXPECT_EQ(core_->Mint(request).status().code(), absl::StatusCode::kFailedPrecondition);
  request = Request("a");
  request.terms.limits.row_dtype = request.terms.limits.result_dtype = GetParam() == DType::kF32 ? DType::kBF16 : DType::kF32;
  EXPECT_EQ(core_->Mint(request).status().code(), absl::StatusCode::kFailedPrecondition);
  request = Request("a");
  request.callee_incarnation = 76;
  const absl::Status status = core_->Mint(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("incarnation is 77"));
  request.callee_incarnation = 0;
  EXPECT_TRUE(core_->Mint(request).ok());
}

INSTANTIATE_TEST_SUITE_P(DTypes, CoreTest, ::testing::Values(DType::kBF16, DType::kF32),
                         [](const auto& info) { return DTypeName(info.param); });

}  // namespace
}  // namespace atoll::expert_node
