#include "router/attention/step_trace_client.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "net/grpc/status_map.h"

namespace atoll::router {
namespace {

// What a node may send: more is not looked at.
constexpr int kLayersMax = 4096;
constexpr int kNodesMax = 4096;

LayerTrace ReadLayer(const v1::LayerTrace& from) {
  LayerTrace layer{.layer = from.layer(),
                   .micro_batch = from.micro_batch(),
                   .rows = from.rows(),
                   .begin_us = from.begin_us(),
                   .attention_end_us = from.attention_end_us(),
                   .posted_us = from.posted_us(),
                   .shared_begin_us = from.shared_begin_us(),
                   .shared_end_us = from.shared_end_us(),
                   .complete_us = from.complete_us(),
                   .combined_us = from.combined_us(),
                   .nodes = {}};
  for (int i = 0; i < std::min(from.nodes_size(), kNodesMax); ++i) {
    const v1::ExpertNodeTrace& node = from.nodes(i);
    layer.nodes.push_back({node.node_id(), node.rows(), node.pairs(), node.sent_us(), node.arrived_us()});
  }
  return layer;
}

StepTrace ReadTrace(const v1::StepTrace& from, const std::string& node_id) {
  StepTrace trace{.node_id = node_id,
                  .step = from.step(),
                  .rows = from.rows(),
                  .prompt_rows = from.prompt_rows(),
                  .micro_batches = from.micro_batches(),
                  .request_ids = {from.request_ids().begin(), from.request_ids().end()},
                  .shared_expert_first = from.shared_expert_first(),
                  .embedded_us = from.embedded_us(),
                  .layers = {},
                  .head_begin_us = from.head_begin_us(),
                  .head_end_us = from.head_end_us(),
                  .sampling_us = from.sampling_us()};
  for (int i = 0; i < std::min(from.layers_size(), kLayersMax); ++i) trace.layers.push_back(ReadLayer(from.layers(i)));
  return trace;
}

struct Call {
  grpc::ClientContext context;
  v1::TraceStepRequest request;
  v1::TraceStepResponse response;
};

}  // namespace

std::function<void()> StartStepTrace(v1::AttentionService::Stub& stub, const std::string& node_id, const StepTraceCall& call,
                                     std::function<void(absl::StatusOr<StepTrace>)> done) {
  const auto running = std::make_shared<Call>();  // shared with gRPC, which calls back
  running->request.set_request_id(call.request_id);
  running->context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(call.timeout_ms));
  stub.async()->TraceStep(&running->context, &running->request, &running->response,
                          [running, node_id, done = std::move(done)](const grpc::Status& status) {
                            if (!status.ok()) return done(net::FromGrpcStatus(status));
                            done(ReadTrace(running->response.trace(), node_id));
                          });
  return [weak = std::weak_ptr<Call>(running)] {
    if (const std::shared_ptr<Call> still = weak.lock()) still->context.TryCancel();
  };
}

}  // namespace atoll::router
