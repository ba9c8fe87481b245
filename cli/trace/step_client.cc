#include "cli/trace/step_client.h"

#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "atoll/v1/cluster.grpc.pb.h"
#include "net/grpc/status_map.h"

namespace atoll::cli {
namespace {

// Between two times of which either may not have happened.
std::string Between(int64_t begin_us, int64_t end_us) { return begin_us == 0 || end_us == 0 ? "-" : absl::StrCat(end_us - begin_us); }

std::vector<std::string> RowOf(const v1::LayerTrace& layer) {
  const int64_t computed_us = std::max(layer.shared_end_us(), layer.posted_us());
  const int64_t posting_since_us = layer.shared_end_us() != 0 && layer.shared_end_us() <= layer.posted_us() ? layer.shared_end_us() : layer.attention_end_us();
  std::string nodes;
  for (const v1::ExpertNodeTrace& node : layer.nodes()) {
    absl::StrAppend(&nodes, nodes.empty() ? "" : ", ", node.node_id(), " ", node.rows(), " rows ", Between(node.sent_us(), node.arrived_us()));
  }
  return {absl::StrCat(layer.layer()), absl::StrCat(layer.micro_batch()), absl::StrCat(layer.rows()), absl::StrCat(layer.begin_us()),
          absl::StrCat(layer.attention_end_us() - layer.begin_us()), Between(posting_since_us, layer.posted_us()),
          Between(layer.shared_begin_us(), layer.shared_end_us()),
          layer.posted_us() == 0 ? "-" : absl::StrCat(layer.complete_us() - computed_us), Between(layer.complete_us(), layer.combined_us()), nodes};
}

StepReport ReportOf(const v1::StepTrace& trace) {
  StepReport report;
  report.headline = absl::StrCat("step ", trace.step(), " of ", trace.node_id(), ": ", trace.rows(), " rows (", trace.prompt_rows(),
                                 " of prompts), ", trace.micro_batches(), " micro-batches, ", trace.request_ids_size(), " sequences, ",
                                 trace.head_end_us(), " us; embedding ", trace.embedded_us(), ", head ",
                                 trace.head_end_us() - trace.head_begin_us() - trace.sampling_us(), ", sampling ", trace.sampling_us());
  report.layers = {{"LAYER", "MICRO-BATCH", "ROWS", "BEGIN", "ATTENTION", "DISPATCH", "SHARED", "WAIT", "COMBINE", "EXPERT NODES"}};
  for (const v1::LayerTrace& layer : trace.layers()) report.layers.push_back(RowOf(layer));
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  (void)google::protobuf::util::MessageToJsonString(trace, &report.json, options);
  return report;
}

}  // namespace

absl::StatusOr<StepReport> TraceStep(const std::string& address, const std::string& request_id, int64_t timeout_ms) {
  const auto stub = v1::ClusterService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
  v1::TraceStepRequest request;
  request.set_request_id(request_id);
  v1::TraceStepResponse response;
  ATOLL_RETURN_IF_ERROR(net::FromGrpcStatus(stub->TraceStep(&context, request, &response)));
  return ReportOf(response.trace());
}

}  // namespace atoll::cli
