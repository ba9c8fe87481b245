#include "cli/up_options.h"

#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"

namespace atoll::cli {
namespace {

constexpr unsigned kRouter = 1, kAttention = 2, kExpert = 4, kNodes = kAttention | kExpert, kAll = kRouter | kNodes;

}  // namespace

void UpOptions::HandOn(Options* options, std::string name, unsigned roles, std::string help, bool is_flag) {
  handed_on_.push_back(std::make_unique<HandedOn>(HandedOn{name, "", is_flag, false, roles}));
  if (is_flag) options->Flag(std::move(name), &handed_on_.back()->flag, std::move(help));
  else options->String(std::move(name), &handed_on_.back()->value, std::move(help));
}

void UpOptions::Define(Options* options) {
  options->Group("cluster");
  options->String("--model", &model, "checkpoint folder");
  options->Require("--model");
  options->Int("--attention", &attention, {1, 64}, "attention nodes");
  options->Int("--experts", &experts, {1, 64}, "expert nodes");
  options->String("--listen", &listen, "HOST:PORT of the router; port 0 takes a free one");
  options->String("--listen-http", &listen_http, "HOST:PORT of the OpenAI API; empty: 127.0.0.1:8000, or a free port where --listen has port 0");
  options->String("--listen-metrics", &listen_metrics, "HOST:PORT of probes and metrics; empty: 127.0.0.1:8001, or a free port likewise");
  options->Flag("--no-restart", &no_restart, "end when a process dies, instead of starting it again under its name");
  options->Group("handed on to the router");
  HandOn(options, "--served-model-name", kRouter, "name that clients use; the folder's name when absent");
  HandOn(options, "--tool-call-parser", kRouter, "form in which the model calls tools: auto, deepseek_v3 or deepseek_v31");
  HandOn(options, "--request-timeout-ms", kRouter, "longest life of a request");
  HandOn(options, "--max-queued-tokens", kRouter, "prompt tokens that wait at most");
  HandOn(options, "--allow-origin", kRouter, "web origin whose pages may call the HTTP API");
  HandOn(options, "--api-key-file", kRouter, "file with the keys that HTTP clients must send");
  HandOn(options, "--strict-requests", kRouter, "refuse HTTP requests with unknown fields", true);
  HandOn(options, "--max-num-requests", kRouter, "requests running at once, beyond them a request is refused");
  HandOn(options, "--status-interval-ms", kRouter, "between two status lines in the log; 0: none");
  HandOn(options, "--vllm-metric-names", kRouter, "show metrics under vLLM's names too (the default)", true);
  HandOn(options, "--no-vllm-metric-names", kRouter, "show metrics under Atoll's own names alone", true);
  HandOn(options, "--mixed-numerics", kRouter, "admit nodes whose kernels give other bits", true);
  HandOn(options, "--shutdown-timeout", kRouter, "seconds that running requests get at the end");
  HandOn(options, "--min-replicas", kRouter, "copies of every expert on different nodes, where memory allows");
  HandOn(options, "--expert-load", kRouter, "JSON file of expert loads to place by at first");
  HandOn(options, "--enable-eplb", kRouter, "place experts anew on a schedule (the default)", true);
  HandOn(options, "--no-enable-eplb", kRouter, "no schedule", true);
  HandOn(options, "--eplb-config.window-size", kRouter, "steps that loads are summed over");
  HandOn(options, "--eplb-config.step-interval", kRouter, "steps between two plans");
  HandOn(options, "--eplb-config.threshold", kRouter, "balance from which on a scheduled plan moves nothing");
  HandOn(options, "--eplb-config.max-bytes", kRouter, "that a scheduled plan loads at most");
  HandOn(options, "--routing-bias-epsilon", kRouter, "let experts of nearly equal scores be exchanged for balance; lossy; 0: off");
  HandOn(options, "--routing-bias-changed-max", kRouter, "fraction of the choices that it may change");
  HandOn(options, "--replica-bias-gamma", kRouter, "step of the slow correction of replicas' shares");
  options->Group("handed on to the attention nodes");
  HandOn(options, "--max-model-len", kAttention, "positions per sequence");
  HandOn(options, "--max-num-seqs", kAttention, "sequences per step");
  HandOn(options, "--max-num-batched-tokens", kAttention, "rows per step");
  HandOn(options, "--max-queued", kAttention, "sequences waiting for a place");
  HandOn(options, "--kv-cache-memory-bytes", kAttention, "memory for pages");
  HandOn(options, "--micro-batches", kAttention, "auto, 1 or 2");
  options->Group("handed on to the expert nodes");
  HandOn(options, "--gather-wait-us", kExpert, "how long rows wait for those of other nodes");
  HandOn(options, "--expert-memory-bytes", kExpert, "memory for replicas");
  HandOn(options, "--speed", kExpert, "relative speed, for placement");
  HandOn(options, "--throttle", kExpert, "for tests: take so many times the time that is needed");
  HandOn(options, "--drain-timeout", kExpert, "seconds after SIGTERM for moving replicas away");
  options->Group("handed on to all nodes");
  HandOn(options, "--threads", kNodes, "compute threads of each process; one per CPU of the machine when absent");
  HandOn(options, "--isa", kNodes, "auto, reference, avx2, avx512 or avx512bf16");
  HandOn(options, "--activation-dtype", kNodes, "bfloat16 or float32");
  HandOn(options, "--transport", kNodes, "auto, tcp or shm");
  HandOn(options, "--peer-silence-ms", kAll, "a peer that says nothing for so long is lost");
}

std::vector<std::string> UpOptions::HandedTo(unsigned role) const {
  std::vector<std::string> arguments = log_arguments;
  for (const auto& option : handed_on_) {
    if (!(option->roles & role)) continue;
    if (option->flag) arguments.push_back(option->name);
    if (!option->value.empty()) arguments.push_back(absl::StrCat(option->name, "=", option->value));
  }
  return arguments;
}

std::vector<std::string> UpOptions::RouterArguments() const {
  std::vector<std::string> arguments{"--model=" + model, "--listen=" + listen, absl::StrCat("--min-expert-nodes=", experts)};
  if (!listen_http.empty()) arguments.push_back("--listen-http=" + listen_http);
  if (!listen_metrics.empty()) arguments.push_back("--listen-metrics=" + listen_metrics);
  for (std::string& argument : HandedTo(kRouter)) arguments.push_back(std::move(argument));
  return arguments;
}

std::vector<std::string> UpOptions::AttentionArguments(const std::string& router, int64_t index) const {
  std::vector<std::string> arguments{"--model=" + model, "--router=" + router, absl::StrCat("--node-id=attention-", index), "--pin-threads"};
  for (std::string& argument : HandedTo(kAttention)) arguments.push_back(std::move(argument));
  return arguments;
}

std::vector<std::string> UpOptions::ExpertArguments(const std::string& router, int64_t index) const {
  std::vector<std::string> arguments{"--model=" + model, "--router=" + router, absl::StrCat("--node-id=expert-", index), "--pin-threads"};
  // The nodes share this machine: none may take all that is free.
  if (const uint64_t bytes = memory_per_expert_node(); bytes > 0) arguments.push_back(absl::StrCat("--expert-memory-bytes=", bytes));
  for (std::string& argument : HandedTo(kExpert)) arguments.push_back(std::move(argument));
  return arguments;
}

uint64_t UpOptions::memory_per_expert_node() const {
  for (const auto& option : handed_on_)
    if (option->name == "--expert-memory-bytes" && !option->value.empty()) return 0;
  return memory_for_experts / static_cast<uint64_t>(experts);
}

uint64_t MemoryForExperts() {
  std::ifstream file("/proc/meminfo");
  std::string key, rest;
  for (uint64_t kilobytes = 0; file >> key >> kilobytes; std::getline(file, rest))
    if (key == "MemAvailable:") return kilobytes * 1024 / 10 * 6;
  return 0;
}

}  // namespace atoll::cli
