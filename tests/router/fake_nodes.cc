#include "tests/router/fake_nodes.h"

#include "base/check.h"
#include "net/grpc/channel.h"

namespace atoll::router {

FakeMember::FakeMember(const std::string& router_address, v1::Hello hello) : hello_(std::move(hello)) {
  stub_ = v1::ClusterService::NewStub(net::MakeChannel(router_address));
  using Stream = net::BidiClient<v1::JoinRequest, v1::JoinResponse>;
  stream_ = std::make_unique<Stream>(
      Stream::Callbacks{.on_message = [this](v1::JoinResponse& message) { OnMessage(message); },
                        .on_end =
                            [this](const absl::Status& status) {
                              std::lock_guard lock(mutex_);
                              end_status_ = status;
                              ended_ = true;
                            }},
      64, [this](grpc::ClientContext* context, Stream::Reactor* reactor) { stub_->async()->Join(context, reactor); });
  v1::JoinRequest request;
  *request.mutable_hello() = hello_;
  ATOLL_CHECK(stream_->Send(std::move(request)), "hello");
}

FakeMember::~FakeMember() { stream_->CancelAndWait(); }

void FakeMember::OnMessage(v1::JoinResponse& message) {
  uint64_t epoch = 0;
  {
    std::lock_guard lock(mutex_);
    if (message.has_assignment()) {
      assignments_.push_back(message.assignment());
      epoch = message.assignment().epoch();
    }
    if (message.has_view()) {
      view_ = message.view();
      epoch = view_.epoch();
    }
  }
  if (epoch == 0) return;
  epoch_ready_ = epoch;
  Send({});
}

void FakeMember::Send(v1::Heartbeat heartbeat) {
  heartbeat.set_incarnation(hello_.incarnation());
  if (heartbeat.epoch_ready() == 0) heartbeat.set_epoch_ready(epoch_ready_);
  v1::JoinRequest request;
  *request.mutable_heartbeat() = std::move(heartbeat);
  (void)stream_->Send(std::move(request));
}

void FakeMember::Leave(const std::string& reason) {
  v1::JoinRequest request;
  request.mutable_leaving()->set_reason(reason);
  (void)stream_->Send(std::move(request));
}

void FakeMember::End() { stream_->CancelAndWait(); }

absl::Status FakeMember::end_status() const {
  std::lock_guard lock(mutex_);
  return end_status_;
}

std::vector<v1::Assignment> FakeMember::assignments() const {
  std::lock_guard lock(mutex_);
  return assignments_;
}

v1::ClusterView FakeMember::view() const {
  std::lock_guard lock(mutex_);
  return view_;
}

FakeAttentionNode::FakeAttentionNode(Script script)
    : script_(script ? std::move(script) : [](const FakeSequence& s) { return static_cast<int32_t>(100 + s.sampled); }) {
  auto server = net::GrpcServer::Start({.listen = "127.0.0.1:0"}, {this});
  ATOLL_CHECK(server.ok(), std::string(server.status().message()));
  server_ = *std::move(server);
}

FakeAttentionNode::~FakeAttentionNode() {
  StopStepping();
  Break();
  server_.reset();
}

grpc::ServerBidiReactor<v1::RunRequest, v1::RunResponse>* FakeAttentionNode::Run(grpc::CallbackServerContext*) {
  const std::shared_ptr<Stream> stream = Stream::Make(1 << 20);
  {
    std::lock_guard lock(mutex_);
    stream_ = stream;
  }
  stream->Start({.on_message = [this, stream](v1::RunRequest& message) { OnMessage(stream, message); },
                 .on_end =
                     [this] {
                       std::lock_guard lock(mutex_);
                       live_.clear();
                     }});
  return stream->reactor();
}

void FakeAttentionNode::OnMessage(const std::shared_ptr<Stream>& stream, const v1::RunRequest& message) {
  std::lock_guard lock(mutex_);
  if (message.has_cancel()) {
    if (live_.erase(message.cancel().sequence_id()) > 0) ++cancelled_;
    return;
  }
  FakeSequence sequence{.submit = message.submit()};
  if (sequence.submit.request_id().rfind("probe-", 0) == 0) {
    v1::RunResponse response;
    AppendTokens(sequence, 1, response);
    (void)stream->Send(std::move(response));
    return;
  }
  submitted_.push_back(sequence.submit);
  live_[sequence.submit.sequence_id()] = std::move(sequence);
}

void FakeAttentionNode::AppendTokens(FakeSequence& sequence, int tokens, v1::RunResponse& to) const {
  v1::SequenceEvent& event = *to.add_events();
  event.set_sequence_id(sequence.submit.sequence_id());
  for (int i = 0; i < tokens && sequence.sampled < sequence.submit.max_tokens(); ++i) {
    v1::SampledToken& token = *event.add_tokens();
    token.set_token_id(script_(sequence));
    token.set_logprob(-0.5f);
    for (int k = 0; k < sequence.submit.logprobs(); ++k) {
      token.add_top_ids(k);
      token.add_top_logprobs(-0.25f * static_cast<float>(k));
    }
    ++sequence.sampled;
  }
  if (sequence.submit.report_times()) event.mutable_times()->set_steps(sequence.sampled);
  if (sequence.sampled < sequence.submit.max_tokens()) return;
  event.mutable_end()->set_reason(v1::END_REASON_LENGTH);
  event.mutable_end()->mutable_times()->set_steps(sequence.sampled);
}

size_t FakeAttentionNode::Step(int tokens) {
  std::lock_guard lock(mutex_);
  if (live_.empty() || stream_ == nullptr) return 0;
  const size_t count = live_.size();
  v1::RunResponse response;
  for (auto it = live_.begin(); it != live_.end();) {
    AppendTokens(it->second, tokens, response);
    it = it->second.sampled >= it->second.submit.max_tokens() ? live_.erase(it) : std::next(it);
  }
  (void)stream_->Send(std::move(response));
  return count;
}

void FakeAttentionNode::StartStepping(int64_t pause_us) {
  stepping_ = true;
  stepper_ = std::thread([this, pause_us] {
    while (stepping_) {
      const bool idle = Step() == 0;
      if (idle || pause_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(idle ? 200 : pause_us));
    }
  });
}

void FakeAttentionNode::StopStepping() {
  stepping_ = false;
  if (stepper_.joinable()) stepper_.join();
}

void FakeAttentionNode::FailAll(absl::StatusCode code, const std::string& message) {
  std::lock_guard lock(mutex_);
  v1::RunResponse response;
  for (const auto& [id, sequence] : live_) {
    v1::SequenceEvent& event = *response.add_events();
    event.set_sequence_id(id);
    event.mutable_end()->set_reason(v1::END_REASON_FAILED);
    event.mutable_end()->set_code(static_cast<int>(code));
    event.mutable_end()->set_message(message);
  }
  live_.clear();
  (void)stream_->Send(std::move(response));
}

void FakeAttentionNode::Break() {
  std::shared_ptr<Stream> stream;
  {
    std::lock_guard lock(mutex_);
    stream.swap(stream_);
  }
  if (stream != nullptr) stream->End(absl::UnavailableError("killed"));
}

std::vector<v1::SubmitSequence> FakeAttentionNode::submitted() const {
  std::lock_guard lock(mutex_);
  return submitted_;
}

size_t FakeAttentionNode::live() const {
  std::lock_guard lock(mutex_);
  return live_.size();
}

size_t FakeAttentionNode::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

v1::Hello ExpertHello(const std::string& id, uint64_t fingerprint, uint64_t incarnation) {
  v1::Hello hello;
  hello.set_role(v1::NODE_ROLE_EXPERT);
  hello.set_node_id(id);
  hello.set_incarnation(incarnation);
  hello.set_control_address("127.0.0.1:9");
  hello.set_backend("fake");
  hello.set_speed(1);
  hello.set_memory_bytes(uint64_t{1} << 40);
  hello.set_model_fingerprint(fingerprint);
  hello.set_numerics_fingerprint(5);
  hello.set_activation_dtype("bfloat16");
  return hello;
}

v1::Hello AttentionHello(const std::string& id, uint64_t fingerprint, const std::string& address, uint64_t incarnation) {
  v1::Hello hello = ExpertHello(id, fingerprint, incarnation);
  hello.set_role(v1::NODE_ROLE_ATTENTION);
  hello.set_control_address(address);
  v1::AttentionCapacity& capacity = *hello.mutable_capacity();
  capacity.set_max_num_seqs(256);
  capacity.set_max_num_batched_tokens(512);
  capacity.set_max_model_len(100000);
  capacity.set_pages(100);
  capacity.set_max_queued(4096);
  return hello;
}

}  // namespace atoll::router
