#pragma once

// Where the time of one step went: per layer and micro-batch, with what each expert node got and when it answered. Times are
// the core's clock's; 0: that did not happen. Plain values.

#include <cstdint>
#include <string>
#include <vector>

namespace atoll::attention_node {

struct NodeTrace {
  std::string node_id;
  int32_t rows = 0;   // sent to it
  int32_t pairs = 0;  // of a row and an expert
  int64_t sent_ns = 0;
  int64_t arrived_ns = 0;  // its last result
};

struct LayerTrace {
  int32_t layer = 0;
  int32_t micro_batch = 0;
  int32_t rows = 0;
  int64_t begin_ns = 0;
  int64_t attention_end_ns = 0;  // the gate's, or a dense layer's MLP's, too
  int64_t posted_ns = 0;
  int64_t shared_begin_ns = 0;
  int64_t shared_end_ns = 0;
  int64_t complete_ns = 0;  // every row has its results, or has failed
  int64_t combined_ns = 0;
  std::vector<NodeTrace> nodes = {};
};

inline constexpr size_t kTracedRequestsMax = 64;

struct StepTrace {
  uint64_t step = 0;
  int32_t rows = 0;
  int32_t prompt_rows = 0;
  int32_t micro_batches = 0;
  bool shared_expert_first = false;
  std::vector<std::string> request_ids = {};  // of its sequences, at most kTracedRequestsMax
  int64_t begin_ns = 0;
  int64_t embedded_ns = 0;
  std::vector<LayerTrace> layers = {};  // in the order in which they began
  int64_t head_begin_ns = 0;
  int64_t head_end_ns = 0;
  int64_t sampling_ns = 0;  // a duration, of head_begin to head_end
};

// The entry of that node, made where there is none.
inline NodeTrace& TraceOf(std::vector<NodeTrace>& nodes, const std::string& node_id) {
  for (NodeTrace& node : nodes) {
    if (node.node_id == node_id) return node;
  }
  return nodes.emplace_back(NodeTrace{.node_id = node_id});
}

}  // namespace atoll::attention_node
