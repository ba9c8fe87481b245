// AttentionService over a real server on a free port, with the core behind it.

#include "attention_node/control/attention_service.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "atoll/v1/attention.grpc.pb.h"
#include "net/grpc/bidi_client.h"
#include "net/grpc/channel.h"
#include "net/grpc/server.h"
#include "tests/attention_node/core_world.h"

namespace atoll::attention_node {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);

// The node without its program: a step thread, the service, a server.
class Node {
 public:
  explicit Node(CoreOptions options) : service_(clock_) {
    TestModel& model = BundledModel();
    if (options.pages == 0) options.pages = 100;
    core_ = *AttentionCore::Create(options, {.shard = &model.shard,
                                             .eos_ids = model.eos_ids,
                                             .kernels = {kernels::DetectIsa(), nullptr},
                                             .exchange = model.experts.get(),
                                             .sink = &service_,
                                             .clock = &clock_});
    service_.SetCore(core_.get());
    server_ = *net::GrpcServer::Start({.listen = "127.0.0.1:0"}, {service_.service()});
    stepper_ = std::thread([this] {
      while (!stopping_) {
        core_->RunOnce(std::chrono::nanoseconds(0));
        std::this_thread::yield();
      }
    });
  }
  ~Node() {
    service_.EndStreams(absl::UnavailableError("the test is over"));
    server_->Shutdown(std::chrono::milliseconds(100));
    stopping_ = true;
    stepper_.join();
  }

  AttentionCore& core() { return *core_; }
  AttentionService& service() { return service_; }
  const std::string& address() const { return server_->address(); }

 private:
  const SteadyClock clock_;
  AttentionService service_;
  std::unique_ptr<AttentionCore> core_;
  std::unique_ptr<net::GrpcServer> server_;
  std::atomic<bool> stopping_{false};
  std::thread stepper_;
};

// A router's end of one Run stream.
class Router {
 public:
  explicit Router(const std::string& address) : stub_(v1::AttentionService::NewStub(net::MakeChannel(address))) {
    using Client = net::BidiClient<v1::RunRequest, v1::RunResponse>;
    client_ = std::make_unique<Client>(
        Client::Callbacks{.on_message = [this](v1::RunResponse& response) { OnResponse(response); },
                          .on_end = [this](const absl::Status& status) { OnEnd(status); }},
        64, [this](grpc::ClientContext* context, Client::Reactor* reactor) { stub_->async()->Run(context, reactor); });
  }

  void Submit(uint64_t id, int max_tokens, int prompt_count = 5, bool report_times = false) {
    v1::RunRequest request;
    v1::SubmitSequence& submit = *request.mutable_submit();
    submit.set_sequence_id(id);
    for (int i = 0; i < prompt_count; ++i) submit.add_prompt_ids(static_cast<int>(id) + i);
    submit.mutable_sampling()->set_top_p(1);
    submit.mutable_sampling()->set_repetition_penalty(1);
    submit.set_max_tokens(max_tokens);
    submit.set_ignore_eos(true);
    submit.set_logprobs(2);
    submit.set_report_times(report_times);
    ASSERT_TRUE(client_->Send(std::move(request)));
  }
  void Cancel(uint64_t id) {
    v1::RunRequest request;
    request.mutable_cancel()->set_sequence_id(id);
    ASSERT_TRUE(client_->Send(std::move(request)));
  }
  void CloseWrites() { client_->CloseWrites(); }

  struct Seen {
    std::vector<v1::SampledToken> tokens;
    std::optional<v1::SequenceEnd> end;
    std::vector<v1::StageTimes> times;
  };
  template <typename Condition>
  bool Await(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, condition);
  }
  bool AwaitEnd(uint64_t id) {
    return Await([&] { return seen_[id].end.has_value(); });
  }
  Seen seen(uint64_t id) {
    std::lock_guard lock(mutex_);
    return seen_[id];
  }
  bool AwaitStreamEnd() {
    return Await([&] { return ended_.has_value(); });
  }
  absl::Status ended() {
    std::lock_guard lock(mutex_);
    return *ended_;
  }

 private:
  void OnResponse(const v1::RunResponse& response) {
    std::lock_guard lock(mutex_);
    for (const v1::SequenceEvent& event : response.events()) {
      Seen& seen = seen_[event.sequence_id()];
      seen.tokens.insert(seen.tokens.end(), event.tokens().begin(), event.tokens().end());
      if (event.has_end()) seen.end = event.end();
      if (event.has_times()) seen.times.push_back(event.times());
    }
    changed_.notify_all();
  }
  void OnEnd(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    ended_ = status;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, Seen> seen_;
  std::optional<absl::Status> ended_;
  std::unique_ptr<v1::AttentionService::Stub> stub_;
  std::unique_ptr<net::BidiClient<v1::RunRequest, v1::RunResponse>> client_;
};

TEST(AttentionService, TokensComeWithLogprobsAndAnEnd) {
  Node node({});
  Router router(node.address());
  router.Submit(1, 6);
  router.Submit(2, 3);
  ASSERT_TRUE(router.AwaitEnd(1));
  ASSERT_TRUE(router.AwaitEnd(2));
  const Router::Seen seen = router.seen(1);
  ASSERT_EQ(seen.tokens.size(), 6u);
  EXPECT_EQ(seen.tokens[0].top_ids_size(), 2);
  EXPECT_EQ(seen.tokens[0].top_ids(0), seen.tokens[0].token_id());
  EXPECT_EQ(seen.end->reason(), v1::END_REASON_LENGTH);
  EXPECT_EQ(seen.end->times().steps(), 6);
  EXPECT_EQ(router.seen(2).tokens.size(), 3u);
}

TEST(AttentionService, TimesSoFarComeWhereTheyAreAskedFor) {
  Node node({});
  Router router(node.address());
  router.Submit(1, 4, 5, true);
  router.Submit(2, 4);
  ASSERT_TRUE(router.AwaitEnd(1));
  ASSERT_TRUE(router.AwaitEnd(2));
  const Router::Seen seen = router.seen(1);
  ASSERT_EQ(seen.times.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(seen.times[i].steps(), static_cast<int64_t>(i) + 1);
  EXPECT_GT(seen.times[0].attention_us(), 0);
  EXPECT_TRUE(router.seen(2).times.empty());
}

TEST(AttentionService, ARefusedSequenceEndsWithItsCode) {
  Node node({});
  Router router(node.address());
  router.Submit(1, 0);
  ASSERT_TRUE(router.AwaitEnd(1));
  EXPECT_EQ(router.seen(1).end->reason(), v1::END_REASON_FAILED);
  EXPECT_EQ(router.seen(1).end->code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(router.seen(1).end->message(), testing::HasSubstr("max_tokens"));
}

TEST(AttentionService, ACancelEndsOneSequence) {
  Node node({});
  Router router(node.address());
  router.Submit(1, 1500);
  router.Cancel(1);
  ASSERT_TRUE(router.AwaitEnd(1));
  EXPECT_EQ(router.seen(1).end->reason(), v1::END_REASON_CANCELLED);
}

TEST(AttentionService, AStreamsEndCancelsItsSequencesAndNoOthers) {
  Node node({});
  Router stays(node.address());
  {
    Router leaves(node.address());
    leaves.Submit(1, 1500);
    stays.Submit(1, 40);  // the same id on another stream is another sequence
    stays.Submit(2, 40);
    ASSERT_TRUE(stays.AwaitEnd(2));
  }
  ASSERT_TRUE(stays.AwaitEnd(1));
  EXPECT_EQ(stays.seen(1).tokens.size(), 40u);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (node.core().load().running + node.core().load().waiting > 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(node.core().load().running, 0);
  EXPECT_EQ(node.core().load().pages_free, 100);
}

TEST(AttentionService, AShutdownEndsStreamsWithItsReason) {
  Node node({});
  Router router(node.address());
  router.Submit(1, 2);
  ASSERT_TRUE(router.AwaitEnd(1));
  node.service().EndStreams(absl::UnavailableError("the attention node is shutting down"));
  ASSERT_TRUE(router.AwaitStreamEnd());
  EXPECT_TRUE(absl::IsUnavailable(router.ended()));
}

}  // namespace
}  // namespace atoll::attention_node
