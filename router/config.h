#pragma once

// What an operator may set of a router.

#include <cstdint>
#include <string>

#include "router/admission.h"
#include "router/balance/balance_policy.h"
#include "router/http/http_door.h"

namespace atoll::router {

struct RouterConfig {
  std::string model;                       // checkpoint folder
  std::string served_model_name;           // empty: the folder's name
  std::string tool_call_parser = "auto";   // or deepseek_v3, deepseek_v31
  std::string listen = "127.0.0.1:50051";  // HOST:PORT; port 0 picks a free one
  http::HttpConfig http;
  AdmissionLimits admission;
  int64_t min_expert_nodes = 1;
  BalanceOptions balance;
  double routing_bias_epsilon = 0;        // 0: off, promise P1 holds
  double routing_bias_changed_max = 0.05;
  bool eplb = false, no_eplb = false;  // the flags as given; balance.enable is what counts
  std::string expert_load;  // file of expert loads to place by at first; empty: none
  bool vllm_metric_names = false, no_vllm_metric_names = false;  // the flags as given; they are shown unless the latter is
  int64_t status_interval_ms = 5000;                             // of the line in the log; 0: none
  int64_t peer_silence_ms = 500;
  bool mixed_numerics = false;
  int64_t request_timeout_ms = 3600 * 1000;
  int64_t shutdown_timeout_ms = 30 * 1000;
};

}  // namespace atoll::router
