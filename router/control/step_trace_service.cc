#include "router/control/step_trace_service.h"

#include <functional>
#include <utility>

#include "net/grpc/deadline.h"
#include "net/grpc/status_map.h"
#include "router/inference/trace_step.h"

namespace atoll::router {
namespace {

// So that the answer is there before the caller's own deadline.
constexpr int64_t kMarginMs = 50;

void Fill(const LayerTrace& layer, v1::LayerTrace& to) {
  to.set_layer(layer.layer);
  to.set_micro_batch(layer.micro_batch);
  to.set_rows(layer.rows);
  to.set_begin_us(layer.begin_us);
  to.set_attention_end_us(layer.attention_end_us);
  to.set_posted_us(layer.posted_us);
  to.set_shared_begin_us(layer.shared_begin_us);
  to.set_shared_end_us(layer.shared_end_us);
  to.set_complete_us(layer.complete_us);
  to.set_combined_us(layer.combined_us);
  for (const ExpertNodeTrace& node : layer.nodes) {
    v1::ExpertNodeTrace& out = *to.add_nodes();
    out.set_node_id(node.node_id);
    out.set_rows(node.rows);
    out.set_pairs(node.pairs);
    out.set_sent_us(node.sent_us);
    out.set_arrived_us(node.arrived_us);
  }
}

void Fill(const StepTrace& trace, v1::StepTrace& to) {
  to.set_node_id(trace.node_id);
  to.set_step(trace.step);
  to.set_rows(trace.rows);
  to.set_prompt_rows(trace.prompt_rows);
  to.set_micro_batches(trace.micro_batches);
  for (const std::string& id : trace.request_ids) to.add_request_ids(id);
  to.set_shared_expert_first(trace.shared_expert_first);
  to.set_embedded_us(trace.embedded_us);
  for (const LayerTrace& layer : trace.layers) Fill(layer, *to.add_layers());
  to.set_head_begin_us(trace.head_begin_us);
  to.set_head_end_us(trace.head_end_us);
  to.set_sampling_us(trace.sampling_us);
}

// Deletes itself when gRPC is done with it.
class TraceStepReactor final : public grpc::ServerUnaryReactor {
 public:
  TraceStepReactor(const ServingSource& source, StepTraceCall call, v1::TraceStepResponse& response) {
    std::function<void()> cancel = TraceStep(*source.serving(), std::move(call), [this, &response](const absl::StatusOr<StepTrace>& trace) {
      if (trace.ok()) Fill(*trace, *response.mutable_trace());
      Finish(net::ToGrpcStatus(trace.status()));
    });
    cancel_ = std::move(cancel);
  }

  // Not before the constructor's end: gRPC knows the reactor by what the method returns.
  void OnCancel() override { cancel_(); }
  void OnDone() override { delete this; }

 private:
  std::function<void()> cancel_;
};

}  // namespace

grpc::ServerUnaryReactor* AnswerTraceStep(const ServingSource& source, const grpc::CallbackServerContext& context,
                                          const v1::TraceStepRequest& request, v1::TraceStepResponse& response) {
  StepTraceCall call{.request_id = request.request_id()};
  if (const std::optional<int64_t> left_ms = net::RemainingMs(context)) call.timeout_ms = *left_ms - kMarginMs;
  return new TraceStepReactor(source, std::move(call), response);
}

}  // namespace atoll::router
