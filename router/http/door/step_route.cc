#include "router/http/door/step_route.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "router/http/api/api_error.h"
#include "router/inference/trace_step.h"

namespace atoll::router::http {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kRequestId = "request_id=";

OrderedJson ToJson(const LayerTrace& layer) {
  OrderedJson nodes = OrderedJson::array();
  for (const ExpertNodeTrace& node : layer.nodes) {
    nodes.push_back({{"node_id", node.node_id}, {"rows", node.rows}, {"pairs", node.pairs}, {"sent_us", node.sent_us}, {"arrived_us", node.arrived_us}});
  }
  return {{"layer", layer.layer}, {"micro_batch", layer.micro_batch}, {"rows", layer.rows}, {"begin_us", layer.begin_us},
          {"attention_end_us", layer.attention_end_us}, {"posted_us", layer.posted_us}, {"shared_begin_us", layer.shared_begin_us},
          {"shared_end_us", layer.shared_end_us}, {"complete_us", layer.complete_us}, {"combined_us", layer.combined_us},
          {"nodes", std::move(nodes)}};
}

// The value of the query's request_id, as sent: an id needs no escapes.
std::string RequestIdOf(std::string_view query) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view field = query.substr(0, end);
    if (field.starts_with(kRequestId)) return std::string(field.substr(kRequestId.size()));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return "";
}

}  // namespace

std::string StepTraceJson(const StepTrace& trace) {
  OrderedJson layers = OrderedJson::array();
  for (const LayerTrace& layer : trace.layers) layers.push_back(ToJson(layer));
  const OrderedJson out{{"node_id", trace.node_id}, {"step", trace.step}, {"rows", trace.rows}, {"prompt_rows", trace.prompt_rows},
                        {"micro_batches", trace.micro_batches}, {"request_ids", trace.request_ids},
                        {"shared_expert_first", trace.shared_expert_first}, {"embedded_us", trace.embedded_us},
                        {"layers", std::move(layers)}, {"head_begin_us", trace.head_begin_us}, {"head_end_us", trace.head_end_us},
                        {"sampling_us", trace.sampling_us}};
  return out.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

Handler StepTraceHandler(const ServingSource* source) {
  return [source](const Request& request, const std::shared_ptr<Exchange>& exchange) {
    std::function<void()> cancel =
        TraceStep(*source->serving(), {.request_id = RequestIdOf(request.query)}, [exchange](const absl::StatusOr<StepTrace>& trace) {
          if (!trace.ok()) return exchange->Respond(ErrorResponse(trace.status()));
          exchange->Respond({.status = 200, .content_type = "application/json", .headers = {}, .body = StepTraceJson(*trace)});
        });
    exchange->OnGone(std::move(cancel));
  };
}

}  // namespace atoll::router::http
