// atoll-router: reads its options, runs an App until SIGTERM or SIGINT.

#include <pthread.h>
#include <signal.h>

#include <cstdio>

#include "base/log.h"
#include "base/options.h"
#include "net/grpc/server.h"
#include "router/app.h"

namespace {

using atoll::router::App;
using atoll::router::RouterConfig;

constexpr int kExitConfiguration = 78;  // EX_CONFIG

void DefineBalance(RouterConfig& config, atoll::Options& options) {
  atoll::router::BalanceOptions& balance = config.balance;
  options.Group("placement of the experts");
  options.Int("--min-replicas", &balance.min_replicas, {1, 64}, "copies of every expert on different nodes, where memory allows; with 2 the loss of one node loses no expert");
  options.String("--expert-load", &config.expert_load, "JSON file with logical_count [layers][experts] to place by before anything was seen");
  options.Flag("--enable-eplb", &config.eplb, "place experts anew on a schedule; it is so unless --no-enable-eplb is given");
  options.Flag("--no-enable-eplb", &config.no_eplb, "move experts only for nodes that come and go, and at an operator's word");
  options.Int("--eplb-config.window-size", &balance.window_size, {1, 1 << 24}, "steps of the busiest attention node that loads are summed over");
  options.Int("--eplb-config.step-interval", &balance.step_interval, {1, 1 << 30}, "steps of the busiest attention node between two plans");
  options.Float("--eplb-config.threshold", &balance.threshold, {0, 1}, "balance (mean / busiest node) from which on a scheduled plan moves nothing");
  options.Int("--eplb-config.max-bytes", &balance.max_bytes, {0, int64_t{1} << 50}, "that a scheduled plan loads at most");
  options.Float("--routing-bias-epsilon", &config.routing_bias_epsilon, {0, 1}, "let experts whose selection scores differ by this much be exchanged for balance; lossy, tokens then depend on the cluster; 0: off");
  options.Float("--routing-bias-changed-max", &config.routing_bias_changed_max, {0, 1}, "fraction of the choices of experts that the routing bias may change; above it is switched off");
  options.Float("--replica-bias-gamma", &balance.replica_bias_gamma, {0, 1}, "step of the slow correction of replicas' shares; 0: off");
}

void Define(RouterConfig& config, double& shutdown_timeout_s, atoll::Options& options) {
  options.Group("model");
  options.String("--model", &config.model, "checkpoint folder: config.json, tokenizer, safetensors headers (weights are not read)");
  options.String("--served-model-name", &config.served_model_name, "name that clients may ask for; empty: the folder's name");
  options.Choice("--tool-call-parser", &config.tool_call_parser, {"auto", "deepseek_v3", "deepseek_v31"},
                 "form in which the model calls tools; auto: as its chat template has it, else V3.1's");
  options.Group("serving");
  options.String("--listen", &config.listen, "HOST:PORT for clients and nodes; port 0 picks a free one");
  options.String("--listen-http", &config.http.listen_http, "HOST:PORT of the OpenAI API; empty: 127.0.0.1:8000, or a free port where --listen has port 0");
  options.String("--listen-metrics", &config.http.listen_metrics, "HOST:PORT of probes and metrics; empty: 127.0.0.1:8001, or a free port likewise");
  options.String("--api-key-file", &config.http.api_key_file, "file with the keys that HTTP clients must send, one a line; empty: none needed");
  options.List("--allow-origin", &config.http.allowed_origins, "origin whose web pages may use the API (CORS), * for all; none: off");
  options.Flag("--strict-requests", &config.http.strict_requests, "refuse HTTP requests with unknown fields, instead of ignoring those");
  options.Int("--max-num-requests", &config.admission.requests_max, {1, 1 << 20}, "requests that run or wait at most");
  options.Int("--max-queued-tokens", &config.admission.queued_prompt_tokens_max, {1, int64_t{1} << 40},
              "prompt tokens of requests that wait for their first token, at most");
  options.Int("--request-timeout-ms", &config.request_timeout_ms, {1, 7 * 86400 * 1000},
              "longest life of a request, also of one without a deadline");
  options.Float("--shutdown-timeout", &shutdown_timeout_s, {0, 86400}, "seconds that running requests may go on after SIGTERM");
  options.Flag("--vllm-metric-names", &config.vllm_metric_names, "show metrics under vLLM's names too; it is so unless --no-vllm-metric-names is given");
  options.Flag("--no-vllm-metric-names", &config.no_vllm_metric_names, "show metrics under Atoll's own names alone");
  options.Int("--status-interval-ms", &config.status_interval_ms, {0, 3600 * 1000}, "between two status lines in the log, which an idle router does not write; 0: none");
  options.Group("cluster");
  options.Int("--min-expert-nodes", &config.min_expert_nodes, {1, 4096}, "expert nodes to wait for before experts are placed");
  options.Int("--peer-silence-ms", &config.peer_silence_ms, {50, 600 * 1000}, "silence after which a node is lost");
  options.Flag("--mixed-numerics", &config.mixed_numerics, "admit nodes whose kernels give other bits; tokens may then depend on the node");
  DefineBalance(config, options);
  options.Require("--model");
  options.Logging();
  options.ReadFileAndEnvironment();
}

// Blocked in every thread, so that sigtimedwait alone sees them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

int WaitForSignal(const sigset_t& signals, App& app) {
  const timespec pause{.tv_sec = 0, .tv_nsec = 250'000'000};
  while (true) {
    if (const int signal_number = sigtimedwait(&signals, nullptr, &pause); signal_number > 0) return signal_number;
    app.RefreshHealth();
  }
}

// Runs Shutdown; a second signal cuts its wait short.
void ShutDown(App& app, const sigset_t& signals) {
  std::atomic<bool> done{false};
  std::thread impatient([&] {
    const timespec pause{.tv_sec = 0, .tv_nsec = 20'000'000};
    while (!done) {
      if (sigtimedwait(&signals, nullptr, &pause) > 0) app.Hurry();
    }
  });
  app.Shutdown();
  done = true;
  impatient.join();
}

int Run(const RouterConfig& config) {
  const sigset_t signals = BlockStopSignals();
  atoll::net::PrepareGrpc();
  atoll::router::http::RaiseOpenFiles();
  absl::StatusOr<std::unique_ptr<App>> app = App::Start(config);
  if (!app.ok()) {
    atoll::LogError(app.status().message());
    return absl::IsUnavailable(app.status()) ? 1 : kExitConfiguration;
  }
  std::printf("http %s\nmetrics %s\nlistening %s\n", (*app)->http_address().c_str(), (*app)->metrics_address().c_str(), (*app)->address().c_str());
  std::fflush(stdout);
  const int signal_number = WaitForSignal(signals, **app);
  atoll::LogInfo("got signal ", signal_number, ", shutting down");
  ShutDown(**app, signals);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  atoll::SetLogName("atoll-router");
  RouterConfig config;
  atoll::Options options({.name = "atoll-router",
                          .summary = "Front door of an Atoll cluster: takes requests, knows the nodes, places the experts.",
                          .examples = "  atoll-router --model checkpoints/tales\n"
                                      "  atoll-router --model /models/v3 --listen 0.0.0.0:50051 --min-expert-nodes 2\n"});
  double shutdown_timeout_s = 1e-3 * static_cast<double>(config.shutdown_timeout_ms);
  Define(config, shutdown_timeout_s, options);
  if (const int exit_status = options.Parse(argc, argv); exit_status >= 0) return exit_status;
  config.shutdown_timeout_ms = static_cast<int64_t>(1e3 * shutdown_timeout_s);
  config.balance.enable = !config.no_eplb;
  return Run(config);
}
