#include "attention_node/control/step_trace_service.h"

#include <memory>
#include <mutex>
#include <utility>

#include "net/grpc/status_map.h"

namespace atoll::attention_node {
namespace {

constexpr size_t kRequestIdBytesMax = 256;

// Times since the step's begin; 0 stays 0: it did not happen.
class Microseconds {
 public:
  explicit Microseconds(int64_t begin_ns) : begin_ns_(begin_ns) {}
  int64_t operator()(int64_t ns) const { return ns == 0 ? 0 : (ns - begin_ns_) / 1000; }

 private:
  const int64_t begin_ns_;
};

void ToProto(const LayerTrace& layer, const Microseconds& us, v1::LayerTrace& to) {
  to.set_layer(layer.layer);
  to.set_micro_batch(layer.micro_batch);
  to.set_rows(layer.rows);
  to.set_begin_us(us(layer.begin_ns));
  to.set_attention_end_us(us(layer.attention_end_ns));
  to.set_posted_us(us(layer.posted_ns));
  to.set_shared_begin_us(us(layer.shared_begin_ns));
  to.set_shared_end_us(us(layer.shared_end_ns));
  to.set_complete_us(us(layer.complete_ns));
  to.set_combined_us(us(layer.combined_ns));
  for (const NodeTrace& node : layer.nodes) {
    v1::ExpertNodeTrace& out = *to.add_nodes();
    out.set_node_id(node.node_id);
    out.set_rows(node.rows);
    out.set_pairs(node.pairs);
    out.set_sent_us(us(node.sent_ns));
    out.set_arrived_us(us(node.arrived_ns));
  }
}

void ToProto(const StepTrace& trace, v1::StepTrace& to) {
  const Microseconds us(trace.begin_ns);
  to.set_step(trace.step);
  to.set_rows(trace.rows);
  to.set_prompt_rows(trace.prompt_rows);
  to.set_micro_batches(trace.micro_batches);
  to.set_shared_expert_first(trace.shared_expert_first);
  for (const std::string& id : trace.request_ids) to.add_request_ids(id);
  to.set_embedded_us(us(trace.embedded_ns));
  for (const LayerTrace& layer : trace.layers) ToProto(layer, us, *to.add_layers());
  to.set_head_begin_us(us(trace.head_begin_ns));
  to.set_head_end_us(us(trace.head_end_ns));
  to.set_sampling_us(trace.sampling_ns / 1000);
}

// One call. Whoever takes the turn finishes it: the record, or the caller's leaving.
class TraceStepReactor final : public grpc::ServerUnaryReactor {
 public:
  TraceStepReactor(v1::TraceStepResponse& response, StepRecorder& recorder)
      : recorder_(recorder), turn_(std::make_shared<Turn>(this, &response)) {}

  void Start(const v1::TraceStepRequest& request) {
    if (request.request_id().size() > kRequestIdBytesMax) {
      return End(grpc::Status(grpc::INVALID_ARGUMENT, "request_id: longer than any that a request can have"));
    }
    const absl::StatusOr<uint64_t> number = recorder_.Ask(request.request_id(), [turn = turn_](const StepTrace& trace) {
      std::lock_guard lock(turn->mutex);
      if (turn->reactor == nullptr) return;
      ToProto(trace, *turn->response->mutable_trace());
      std::exchange(turn->reactor, nullptr)->Finish(grpc::Status::OK);
    });
    if (!number.ok()) return End(net::ToGrpcStatus(number.status()));
    std::lock_guard lock(turn_->mutex);
    number_ = *number;
  }

  void OnCancel() override { End(grpc::Status(grpc::CANCELLED, "no such step came before the caller left")); }
  void OnDone() override { delete this; }

 private:
  struct Turn {
    Turn(grpc::ServerUnaryReactor* of, v1::TraceStepResponse* to) : reactor(of), response(to) {}

    std::mutex mutex;
    grpc::ServerUnaryReactor* reactor;  // guarded by mutex; null: the call is finished
    v1::TraceStepResponse* const response;
  };

  void End(const grpc::Status& status) {
    uint64_t number = 0;
    {
      std::lock_guard lock(turn_->mutex);
      number = number_;
    }
    if (number != 0) recorder_.Forget(number);
    std::lock_guard lock(turn_->mutex);
    if (turn_->reactor != nullptr) std::exchange(turn_->reactor, nullptr)->Finish(status);
  }

  StepRecorder& recorder_;
  const std::shared_ptr<Turn> turn_;  // shared with the taker, which may be called while the call ends
  uint64_t number_ = 0;               // guarded by the turn's mutex
};

}  // namespace

grpc::ServerUnaryReactor* AnswerWithStepTrace(const v1::TraceStepRequest& request, v1::TraceStepResponse& response, StepRecorder& recorder) {
  auto* const reactor = new TraceStepReactor(response, recorder);  // deletes itself
  reactor->Start(request);
  return reactor;
}

}  // namespace atoll::attention_node
