#pragma once

// A real router on port 0 serving checkpoints/tales, with fake nodes.

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "atoll/v1/inference.grpc.pb.h"
#include "net/grpc/channel.h"
#include "net/grpc/status_map.h"
#include "router/app.h"
#include "tests/router/fake_nodes.h"

namespace atoll::router {

// All that one Generate call gave.
struct Answer {
  absl::Status status;
  int messages = 0;
  std::map<uint32_t, std::string> text;
  std::map<uint32_t, std::vector<int32_t>> ids;
  std::map<uint32_t, v1::FinishReason> finish;
  v1::GenerateResponse last;

  std::string reason() const { return GetErrorInfo(status).value_or(ErrorInfo{}).reason; }
};

class RouterFixture : public testing::Test {
 protected:
  // A silence of a minute: fake nodes send no heartbeats of their own.
  static RouterConfig Config() {
    RouterConfig config;
    config.model = ATOLL_SOURCE_DIR "/checkpoints/tales";
    config.listen = "127.0.0.1:0";
    config.min_expert_nodes = 2;
    config.balance.min_replicas = 1;
    config.peer_silence_ms = 60000;
    config.shutdown_timeout_ms = 10000;
    return config;
  }

  void StartRouter(const RouterConfig& config = Config());
  // Two expert nodes and one attention node, ready.
  void BringUp(const RouterConfig& config = Config(), FakeAttentionNode::Script script = {});

  std::unique_ptr<FakeMember> JoinExpert(const std::string& id, uint64_t incarnation = 1);
  std::unique_ptr<FakeMember> JoinAttention(const std::string& id, const FakeAttentionNode& node, uint64_t incarnation = 1);
  uint64_t Fingerprint() { return app_->front_door().model().fingerprint(); }

  // `max_tokens` 0: the default.
  static v1::GenerateRequest OfIds(const std::vector<int32_t>& ids, int64_t max_tokens);
  Answer Generate(const v1::GenerateRequest& request, std::chrono::milliseconds timeout = std::chrono::seconds(20));
  // The rest of a call that has been started.
  static Answer Finish(grpc::ClientReader<v1::GenerateResponse>& reader);
  v1::GetStatusResponse Status(bool experts = false);
  bool WaitReady(bool ready = true);
  bool WaitIdle();

  uint64_t memory_experts_ = 96;  // of an expert node: two hold the model, with no room for second copies
  std::unique_ptr<App> app_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
  std::unique_ptr<v1::ClusterService::Stub> cluster_stub_;
  std::unique_ptr<FakeAttentionNode> attention_;
  std::unique_ptr<FakeMember> e1_;
  std::unique_ptr<FakeMember> e2_;
  std::unique_ptr<FakeMember> a1_;
};

}  // namespace atoll::router
