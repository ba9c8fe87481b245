#pragma once

// Nodes of a cluster that speak the real protos and compute nothing: an expert node that is loaded at once, an attention
// node whose tokens are scripted.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "atoll/v1/attention.grpc.pb.h"
#include "atoll/v1/cluster.grpc.pb.h"
#include "atoll/v1/inference.grpc.pb.h"
#include "net/grpc/bidi_client.h"
#include "net/grpc/bidi_server_stream.h"
#include "net/grpc/server.h"
#include "tests/base/wait_for.h"

namespace atoll::router {

// One membership: says hello, and reports each assignment or view as ready at once. Thread-safe.
class FakeMember {
 public:
  FakeMember(const std::string& router_address, v1::Hello hello);
  ~FakeMember();

  void Send(v1::Heartbeat heartbeat);  // the incarnation is filled in
  void Leave(const std::string& reason);
  void End();  // as a crash does: the stream breaks

  bool ended() const { return ended_; }
  absl::Status end_status() const;
  uint64_t epoch_ready() const { return epoch_ready_; }
  std::vector<v1::Assignment> assignments() const;
  v1::ClusterView view() const;

 private:
  void OnMessage(v1::JoinResponse& message);

  const v1::Hello hello_;
  std::atomic<uint64_t> epoch_ready_{0};
  std::atomic<bool> ended_{false};
  mutable std::mutex mutex_;  // guards the next three
  absl::Status end_status_;
  std::vector<v1::Assignment> assignments_;
  v1::ClusterView view_;
  std::unique_ptr<v1::ClusterService::Stub> stub_;
  std::unique_ptr<net::BidiClient<v1::JoinRequest, v1::JoinResponse>> stream_;
};

struct FakeSequence {
  v1::SubmitSequence submit;
  uint32_t sampled = 0;
};

// An attention node of one router. Probes are answered at once; other sequences get a token each time that Step is called.
// Thread-safe.
class FakeAttentionNode final : public v1::AttentionService::CallbackService {
 public:
  // What sequence and index of the token give the token id; the default counts up from 100.
  using Script = std::function<int32_t(const FakeSequence&)>;

  explicit FakeAttentionNode(Script script = {});
  ~FakeAttentionNode() override;

  grpc::ServerBidiReactor<v1::RunRequest, v1::RunResponse>* Run(grpc::CallbackServerContext* context) override;

  const std::string& address() const { return server_->address(); }
  // One token for every live sequence, in one message; `tokens` of them at a time. The number of sequences it had.
  size_t Step(int tokens = 1);
  // Steps from a thread until stopped, waiting while there is nothing to do.
  void StartStepping(int64_t pause_us = 0);
  void StopStepping();
  void FailAll(absl::StatusCode code, const std::string& message);
  // The streams break, as after kill -9.
  void Break();

  std::vector<v1::SubmitSequence> submitted() const;
  size_t live() const;
  size_t cancelled() const;
  bool saw_nothing() const { return submitted().empty(); }

 private:
  using Stream = net::BidiServerStream<v1::RunRequest, v1::RunResponse>;
  void OnMessage(const std::shared_ptr<Stream>& stream, const v1::RunRequest& message);
  void AppendTokens(FakeSequence& sequence, int tokens, v1::RunResponse& to) const;

  const Script script_;
  std::unique_ptr<net::GrpcServer> server_;
  mutable std::mutex mutex_;  // guards all below
  std::shared_ptr<Stream> stream_;
  std::map<uint64_t, FakeSequence> live_;
  std::vector<v1::SubmitSequence> submitted_;
  size_t cancelled_ = 0;
  std::atomic<bool> stepping_{false};
  std::thread stepper_;
};

v1::Hello ExpertHello(const std::string& id, uint64_t fingerprint, uint64_t incarnation = 1);
v1::Hello AttentionHello(const std::string& id, uint64_t fingerprint, const std::string& address, uint64_t incarnation = 1);

}  // namespace atoll::router
