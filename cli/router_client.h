#pragma once

// What the command line asks of a router, as plain structs. Calls block; use from one thread.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "cli/placement/placement_client.h"
#include "cli/placement/routing_bias_figures.h"

namespace atoll::cli {

struct ChatTurn {
  std::string role;
  std::string content;
};

struct TextInput { std::string text; };
struct IdsInput { std::vector<int32_t> ids; };
struct ChatInput {
  std::vector<ChatTurn> turns;
  std::optional<bool> thinking;
};

// What is absent takes the model's default; ranges are the router's to check (proto/atoll/v1/inference.proto).
struct GenerateCall {
  std::string model;
  std::variant<TextInput, IdsInput, ChatInput> input;
  std::optional<double> temperature, top_p, min_p, presence_penalty, frequency_penalty, repetition_penalty;
  std::optional<int64_t> top_k, seed, max_tokens, min_tokens, n, logprobs;
  std::vector<std::pair<int32_t, float>> logit_bias;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  bool ignore_eos = false;
  std::optional<int64_t> timeout_ms;
};

struct TokenLogprob {
  int32_t token_id = 0;
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top;
};

// New pieces of one choice; `finish_reason` is "stop" or "length" in its last one, else empty.
struct ChoicePiece {
  uint32_t index = 0;
  std::string text;
  std::vector<int32_t> token_ids;
  std::vector<TokenLogprob> logprobs;
  std::string finish_reason;
};

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
};

// Microseconds, in the order in which they are shown.
using Timing = std::vector<std::pair<std::string, int64_t>>;

struct GenerateSummary {
  Usage usage;
  Timing timing;
  uint64_t seed = 0;
};

struct NodeRow {
  std::string role, node_id, state, address, backend;
  double speed = 0;
  int64_t running = 0, waiting = 0, pages_free = 0, pages = 0, experts = 0, rows_run = 0, heartbeat_age_ms = 0;
  uint64_t loaded_bytes = 0, memory_bytes = 0, epoch_ready = 0;
};

struct LayerLoad {
  uint32_t layer = 0;
  std::vector<uint64_t> rows;  // [experts], both position classes
  double imbalance = 0;        // busiest expert node over the mean; 0 where the layer saw no traffic
};

struct ClusterStatus {
  std::string model, not_ready_reason, not_exact_reason;
  uint64_t epoch = 0;
  bool ready = false;
  bool exact = true;
  std::vector<NodeRow> nodes;
  std::vector<LayerLoad> layers;
  std::vector<std::pair<std::string, int64_t>> router;  // counters by name
  Balancer balancer;
  RoutingBiasFigures routing_bias;
};

struct ModelCard {
  std::string name, chat_format;
  int64_t context_length = 0, vocabulary_size = 0, layers = 0, experts = 0, experts_per_token = 0;
  bool has_tokenizer = false;
};

class RouterClient {
 public:
  explicit RouterClient(const std::string& address);
  ~RouterClient();

  // Calls `on_piece` for every piece as it comes; false from it cancels the request (the status is then CANCELLED).
  absl::StatusOr<GenerateSummary> Generate(const GenerateCall& call, const std::function<bool(const ChoicePiece&)>& on_piece);
  absl::StatusOr<ClusterStatus> GetStatus(bool with_experts, int64_t timeout_ms);
  absl::StatusOr<ModelCard> GetModel();

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace atoll::cli
