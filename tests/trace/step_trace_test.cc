// The record of a step: which steps are recorded, what is in it, who gets it, and that recording changes no bit.

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "atoll/v1/attention.grpc.pb.h"
#include "attention_node/control/attention_service.h"
#include "net/grpc/channel.h"
#include "net/grpc/server.h"
#include "tests/attention_node/core_world.h"

namespace atoll::attention_node {
namespace {

using testing::ElementsAre;

SequenceRequest Named(const std::string& request_id, uint64_t id, int64_t max_tokens = 4) {
  SequenceRequest request = MakeRequest(id, 5, max_tokens);
  request.request_id = request_id;
  return request;
}

std::vector<StepTrace> AskedOf(CoreWorld& world, const std::string& request_id, int times = 1) {
  std::vector<StepTrace> traces;
  for (int i = 0; i < times; ++i) {
    EXPECT_TRUE(world.core().recorder().Ask(request_id, [&](const StepTrace& trace) { traces.push_back(trace); }).ok());
    world.RunOnce();
  }
  return traces;
}

TEST(StepTraceTest, EveryLayerOfTheStepIsThereWithItsTimes) {
  CoreWorld world({.max_num_seqs = 8, .max_num_batched_tokens = 64});
  world.clock().AdvanceNs(1000);
  ASSERT_TRUE(world.Submit(Named("one", 1)).ok());
  ASSERT_TRUE(world.Submit(Named("two", 2)).ok());
  const std::vector<StepTrace> traces = AskedOf(world, "");
  ASSERT_EQ(traces.size(), 1u);
  const StepTrace& trace = traces[0];
  EXPECT_EQ(trace.rows, 10);
  EXPECT_EQ(trace.prompt_rows, 10);
  EXPECT_THAT(trace.request_ids, ElementsAre("one", "two"));
  const auto& layers = BundledModel().shard.layers;
  ASSERT_EQ(trace.layers.size(), layers.size() * trace.micro_batches);
  for (const LayerTrace& layer : trace.layers) {
    const bool dense = !layers[layer.layer].gate;
    EXPECT_GT(layer.begin_ns, 0);
    EXPECT_GT(layer.attention_end_ns, 0);
    EXPECT_EQ(layer.combined_ns > 0, !dense) << layer.layer;
  }
  EXPECT_GT(trace.head_end_ns, 0);
}

TEST(StepTraceTest, OnlyTheStepThatWasAskedForIsRecorded) {
  CoreWorld world({.max_num_seqs = 1, .max_num_batched_tokens = 64});
  ASSERT_TRUE(world.Submit(Named("first", 1, 2)).ok());
  ASSERT_TRUE(world.Submit(Named("second", 2, 2)).ok());
  int told = 0;
  std::vector<std::string> ids;
  ASSERT_TRUE(world.core().recorder().Ask("second", [&](const StepTrace& trace) { ++told, ids = trace.request_ids; }).ok());
  world.RunOnce();
  world.RunOnce();
  EXPECT_EQ(told, 0) << "the steps of another request";
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(told, 1);
  EXPECT_THAT(ids, ElementsAre("second"));
}

TEST(StepTraceTest, WhoForgetsIsNotToldAndAskersAreBounded) {
  CoreWorld world({.max_num_seqs = 8, .max_num_batched_tokens = 64});
  StepRecorder& recorder = world.core().recorder();
  int told = 0;
  std::vector<uint64_t> numbers;
  for (size_t i = 0; i < kStepAskersMax; ++i) numbers.push_back(*recorder.Ask("", [&](const StepTrace&) { ++told; }));
  EXPECT_TRUE(absl::IsResourceExhausted(recorder.Ask("", [](const StepTrace&) {}).status()));
  for (size_t i = 1; i < numbers.size(); ++i) recorder.Forget(numbers[i]);
  ASSERT_TRUE(world.Submit(Named("one", 1)).ok());
  world.RunOnce();
  EXPECT_EQ(told, 1);
}

TEST(StepTraceTest, TokensHaveTheSameBitsWhetherStepsAreRecordedOrNot) {
  const CoreOptions options{.max_num_seqs = 8, .max_num_batched_tokens = 64};
  CoreWorld plain(options), traced(options);
  for (CoreWorld* world : {&plain, &traced}) {
    ASSERT_TRUE(world->Submit(Named("one", 1, 12)).ok());
    ASSERT_TRUE(world->Submit(Named("two", 2, 12)).ok());
  }
  ASSERT_TRUE(plain.RunToEnd());
  EXPECT_EQ(AskedOf(traced, "two", 12).size(), 12u);
  ASSERT_TRUE(traced.RunToEnd());
  for (const uint64_t id : {1, 2}) {
    EXPECT_EQ(traced.answer(id).token_ids, plain.answer(id).token_ids);
    EXPECT_EQ(traced.answer(id).logprob_bits, plain.answer(id).logprob_bits);
  }
}

// The service before the core of a CoreWorld, whose steps the test runs.
class Served {
 public:
  Served() {
    service_.SetCore(&world.core());
    server_ = *net::GrpcServer::Start({.listen = "127.0.0.1:0"}, {service_.service()});
    stub_ = v1::AttentionService::NewStub(net::MakeChannel(server_->address()));
  }

  grpc::Status Trace(const std::string& request_id, std::chrono::milliseconds timeout, v1::TraceStepResponse* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    v1::TraceStepRequest request;
    request.set_request_id(request_id);
    return stub_->TraceStep(&context, request, response);
  }

  CoreWorld world{{.max_num_seqs = 8, .max_num_batched_tokens = 64}};

 private:
  ManualClock clock_;
  AttentionService service_{clock_};
  std::unique_ptr<net::GrpcServer> server_;
  std::unique_ptr<v1::AttentionService::Stub> stub_;
};

TEST(StepTraceServiceTest, TheCallGetsTheNextStepOfTheRequest) {
  Served served;
  ASSERT_TRUE(served.world.Submit(Named("mine", 1, 2000)).ok());
  std::atomic<bool> done{false};
  v1::TraceStepResponse response;
  grpc::Status status;
  std::thread caller([&] {
    status = served.Trace("mine", std::chrono::seconds(20), &response);
    done = true;
  });
  while (!done) served.world.RunOnce();
  caller.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(response.trace().request_ids(), ElementsAre("mine"));
  EXPECT_EQ(static_cast<size_t>(response.trace().layers_size()), BundledModel().shard.layers.size());
}

TEST(StepTraceServiceTest, ACallWhoseStepNeverComesIsForgotten) {
  Served served;
  v1::TraceStepResponse response;
  EXPECT_EQ(served.Trace("nobody", std::chrono::milliseconds(30), &response).error_code(), grpc::DEADLINE_EXCEEDED);
  EXPECT_EQ(served.Trace(std::string(1000, 'x'), std::chrono::seconds(5), &response).error_code(), grpc::INVALID_ARGUMENT);
  ASSERT_TRUE(served.world.Submit(Named("nobody", 1)).ok());
  EXPECT_TRUE(served.world.RunToEnd());
}

}  // namespace
}  // namespace atoll::attention_node
