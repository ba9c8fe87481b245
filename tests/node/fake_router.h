#pragma once

// A router that does what the test tells it: accepts or refuses joins, keeps what nodes say. Thread-safe.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "atoll/v1/cluster.grpc.pb.h"
#include "base/check.h"
#include "net/grpc/bidi_server_stream.h"
#include "net/grpc/server.h"

namespace atoll::node {

class FakeRouter final : public v1::ClusterService::CallbackService {
 public:
  using Stream = net::BidiServerStream<v1::JoinRequest, v1::JoinResponse>;

  explicit FakeRouter(const std::string& listen = "127.0.0.1:0") { Listen(listen); }
  ~FakeRouter() override { Stop(); }

  const std::string& address() const { return address_; }

  void Listen(const std::string& listen) {
    auto server = net::GrpcServer::Start({.listen = listen}, {this});
    ATOLL_CHECK(server.ok(), std::string(server.status().message()));
    server_ = *std::move(server);
    address_ = server_->address();
  }
  void Stop() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::milliseconds(0));
    server_ = nullptr;
  }

  void RefuseWith(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    refusal_ = status;
  }
  void Send(const v1::JoinResponse& response) {
    std::lock_guard lock(mutex_);
    ATOLL_CHECK(stream_ != nullptr && stream_->Send(response), "no node has joined");
  }
  void EndStream(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    stream_->End(status);
  }

  // Waits until condition(hellos, heartbeats, leaving) holds; false after ten seconds.
  template <typename Condition>
  bool Await(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return condition(*this); });
  }

  std::vector<v1::Hello> hellos;           // read under Await or when all has ended
  std::vector<v1::Heartbeat> heartbeats;
  std::optional<std::string> leaving;

  grpc::ServerBidiReactor<v1::JoinRequest, v1::JoinResponse>* Join(grpc::CallbackServerContext*) override {
    auto stream = Stream::Make(64);
    stream->Start({[this, stream](v1::JoinRequest& request) { OnMessage(stream, request); }, [this, stream] { OnEnd(stream); }});
    return stream->reactor();
  }

 private:
  void OnMessage(const std::shared_ptr<Stream>& stream, const v1::JoinRequest& request) {
    std::lock_guard lock(mutex_);
    if (request.has_hello()) Welcome(stream, request.hello());
    if (request.has_heartbeat()) heartbeats.push_back(request.heartbeat());
    if (request.has_leaving()) {
      leaving = request.leaving().reason();
      stream->End(absl::OkStatus());
    }
    changed_.notify_all();
  }

  void Welcome(const std::shared_ptr<Stream>& stream, const v1::Hello& hello) {
    hellos.push_back(hello);
    if (!refusal_.ok()) return stream->End(refusal_);
    stream_ = stream;
    v1::JoinResponse response;
    response.mutable_accepted()->set_heartbeat_ms(5);
    response.mutable_accepted()->set_peer_silence_ms(321);
    ATOLL_CHECK(stream->Send(response), "the stream is new");
  }

  void OnEnd(const std::shared_ptr<Stream>& stream) {
    std::lock_guard lock(mutex_);
    if (stream_ == stream) stream_ = nullptr;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  absl::Status refusal_;
  std::shared_ptr<Stream> stream_;  // the newest; shared with gRPC
  std::string address_;
  std::unique_ptr<net::GrpcServer> server_;
};

}  // namespace atoll::node
