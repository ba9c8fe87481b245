// What the routing bias costs: a held text through a checkpoint, teacher-forced, all experts in this process, laid out as
// on a made cluster of expert nodes for the bias alone. For every epsilon: perplexity, KL of the next-token distributions
// from those without a bias, decisions changed, and what it gains in balance.
//   routing_bias_cost [--model DIR] [--text FILE] [--nodes 9] [--slots 4] [--rows 512] [--deltas] [--unplanned]

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "model/tokenizer/folder_tokenizer.h"
#include "router/balance/routing_bias/routing_bias.h"
#include "router/placement/quick_plan.h"
#include "tests/attention_node/forward_pass.h"

namespace atoll::bench {
namespace {

using attention_node::ForwardPass;
using attention_node::ForwardTrace;

struct Options {
  std::string model = ATOLL_SOURCE_DIR "/checkpoints/tales", text = ATOLL_SOURCE_DIR "/../shared/models/reference/long.txt";
  int32_t nodes = 9, slots = 4, rows = 512;
  bool deltas = false;     // the router's too, not only the same-batch re-route
  bool unplanned = false;  // expert e on node e % nodes, no replicas: imbalance that lasts
};

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "routing_bias_cost: %s\n", why.c_str());
  std::exit(2);
}

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--deltas" || name == "--unplanned") {
      (name == "--deltas" ? options.deltas : options.unplanned) = true;
      continue;
    }
    if (++i == argc) Fail(name + " is no option or wants a value; expected --model, --text, --nodes, --slots, --rows, --deltas or --unplanned");
    if (name == "--model") options.model = argv[i];
    else if (name == "--text") options.text = argv[i];
    else if (name == "--nodes") options.nodes = std::atoi(argv[i]);
    else if (name == "--slots") options.slots = std::atoi(argv[i]);
    else if (name == "--rows") options.rows = std::atoi(argv[i]);
    else Fail(name + " is no option");
  }
  return options;
}

std::vector<int32_t> TokensOf(const Options& options, const model::ModelConfig& config) {
  std::ifstream file(options.text, std::ios::binary);
  if (!file) Fail(options.text + " cannot be read; expected a text that the model was not trained on (--text FILE)");
  std::ostringstream text;
  text << file.rdbuf();
  const auto loaded = model::FolderTokenizer::Load(options.model, {.ids_max = 1 << 24});
  if (!loaded.ok()) Fail(std::string(loaded.status().message()));
  const auto tokenizer = loaded->ForText();
  if (!tokenizer.ok()) Fail(std::string(tokenizer.status().message()));
  const auto encoded = (*tokenizer)->EncodePrompt(text.str());
  if (!encoded.ok()) Fail(options.text + ": " + std::string(encoded.status().message()));
  std::vector<int32_t> ids = *encoded;
  if (static_cast<int64_t>(ids.size()) > config.max_position_embeddings) ids.resize(config.max_position_embeddings);
  if (ids.size() < 100) Fail(options.text + " has " + std::to_string(ids.size()) + " tokens, expected 100 at least");
  return ids;
}

// The quick plan of every layer for the loads of the text itself: what is left is noise from batch to batch.
node::ClusterView ViewFor(const model::ModelConfig& config, const ForwardTrace& trace, const Options& options) {
  node::ClusterView view;
  view.placement = model::EmptyPlacement(config, false);
  for (int32_t n = 0; n < options.nodes; ++n) {
    view.placement.node_ids.push_back("made-" + std::to_string(n));
    node::ExpertPeer peer;
    peer.node_id = view.placement.node_ids.back();
    peer.alive = true;
    view.expert_nodes.push_back(peer);
  }
  for (int32_t layer = 0; layer < view.placement.layers; ++layer) {
    if (!view.placement.layer_has_experts[layer]) continue;
    std::vector<double> loads(config.gate.n_routed_experts, 0);
    for (const int32_t e : trace.experts[layer]) loads[e] += 1;
    for (int32_t e = 0; options.unplanned && e < view.placement.experts; ++e) view.placement.ReplicasOf({layer, e}) = {{e % options.nodes, 1}};
    if (options.unplanned) continue;
    const auto plan = router::PlanQuick(loads, router::LayerNodes::Even(options.nodes, options.slots), {});
    if (!plan.ok()) Fail(std::string(plan.status().message()));
    for (int32_t e = 0; e < plan->experts(); ++e)
      for (const int32_t host : plan->HostsOf(e)) view.placement.ReplicasOf({layer, e}).push_back({host, 1.0 / plan->copies(e)});
  }
  view.routing_bias.resize(view.placement.layers);
  view.routing_bias_changed_max = 1;
  return view;
}

std::vector<double> LogSoftmax(const std::vector<float>& logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - top);
  std::vector<double> logs;
  for (const float x : logits) logs.push_back(x - top - std::log(sum));
  return logs;
}

struct Cost {
  double nll = 0, kl = 0, kl_max = 0, first_choice_kept = 0, positions = 0;
};

Cost Compare(const std::vector<int32_t>& tokens, const ForwardTrace& plain, const ForwardTrace& biased) {
  Cost cost;
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    const std::vector<double> p = LogSoftmax(plain.logits[i]), q = LogSoftmax(biased.logits[i]);
    double kl = 0;
    for (size_t t = 0; t < p.size(); ++t) kl += std::exp(p[t]) * (p[t] - q[t]);
    cost.nll -= q[tokens[i + 1]];
    cost.kl += kl;
    cost.kl_max = std::max(cost.kl_max, kl);
    cost.first_choice_kept += std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin() ? 1 : 0;
    cost.positions += 1;
  }
  return cost;
}

// Rows that each node gets of one layer, an expert's over its replicas by the exact split.
std::vector<double> LevelsOf(const node::ClusterView& view, const ForwardTrace& trace, int32_t layer) {
  std::vector<int32_t> first{0}, host;
  std::vector<double> counts(view.placement.experts, 0), levels(view.expert_nodes.size(), 0);
  for (int32_t e = 0; e < view.placement.experts; ++e) {
    for (const model::Replica& replica : view.placement.ReplicasOf({layer, e})) host.push_back(replica.node);
    first.push_back(static_cast<int32_t>(host.size()));
  }
  for (const int32_t e : trace.experts[layer]) counts[e] += 1;
  const auto map = attention_node::MakeReplicaMap(first, host, std::vector<double>(levels.size(), 1));
  attention_node::RowSplit split(map, 0);
  std::vector<int32_t> rows(map.replicas());
  split.Split(std::vector<int32_t>(counts.begin(), counts.end()), {}, rows);
  for (int32_t r = 0; r < map.replicas(); ++r) levels[map.node[r]] += split.fractional_rows()[r];
  return levels;
}

// The router's deltas as they stand after many passes over the text.
void LearnDeltas(ForwardPass& pass, const attention_node::ForwardRun& run, node::ClusterView& view) {
  router::RoutingBias bias({.epsilon = view.routing_bias_epsilon, .step = 0.25}, view.placement.layers, view.placement.experts);
  for (int i = 0; i < 8; ++i) {
    pass.routing_bias().SetView(view);
    const ForwardTrace trace = pass.Run(run);
    for (int32_t layer = 0; layer < view.placement.layers; ++layer) {
      if (!view.placement.layer_has_experts[layer]) continue;
      const std::span<const std::vector<model::Replica>> replicas(view.placement.replicas);
      bias.Step(layer, LevelsOf(view, trace, layer), replicas.subspan(layer * view.placement.experts, view.placement.experts));
      view.routing_bias[layer].assign(bias.DeltaOf(layer).begin(), bias.DeltaOf(layer).end());
    }
  }
}

void PrintRow(float epsilon, const Cost& cost, const node::RoutingBiasCounts& counts) {
  const double changed = counts.decisions == 0 ? 0 : 100.0 * static_cast<double>(counts.changed) / static_cast<double>(counts.decisions);
  const double batches = counts.batches == 0 ? 1 : static_cast<double>(counts.batches);
  const double before = 100 * (counts.busiest_before / batches - 1), after = 100 * (counts.busiest_after / batches - 1);
  std::printf("| %7.3f | %10.4f | %9.6f | %8.4f | %8.2f | %8.3f | %8.6f | ", epsilon, std::exp(cost.nll / cost.positions), cost.kl / cost.positions, cost.kl_max,
              100 * cost.first_choice_kept / cost.positions, changed, counts.score_mass > 0 ? counts.score_mass_kept / counts.score_mass : 1);
  if (counts.batches == 0) std::printf("     off |       |             |\n");
  else std::printf("%6.2f %% | %6.2f %% | %9.1f |\n", before, after, changed > 0 && before > 0 ? 100 * (1 - after / before) / changed : 0);
}

}  // namespace

int Main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  attention_node::ForwardOptions forward;
  forward.kernels = {kernels::DetectIsa(), nullptr};
  forward.rows_max = options.rows;
  auto pass = ForwardPass::Load(options.model, forward);
  if (!pass.ok()) Fail(std::string(pass.status().message()));
  const std::vector<int32_t> tokens = TokensOf(options, (*pass)->config());
  const attention_node::ForwardRun run{.tokens = tokens, .prompt_count = static_cast<int32_t>(tokens.size()), .chunk = options.rows};
  const ForwardTrace plain = (*pass)->Run(run);
  node::ClusterView view = ViewFor((*pass)->config(), plain, options);
  std::printf("%zu tokens of %s in steps of %d rows, %d expert nodes, %s, %s\n", tokens.size(), options.text.substr(options.text.rfind('/') + 1).c_str(), options.rows,
              options.nodes, options.unplanned ? "expert e on node e modulo nodes" : absl::StrCat(options.slots, " experts of a layer each, planned for the text").c_str(),
              options.deltas ? "deltas and near ties" : "near ties alone");
  std::printf("| epsilon | perplexity | mean KL   | max KL   | same 1st %% | changed %% | mass kept | busiest before | after | %% lower per 1 %% |\n");
  for (const float epsilon : {0.0F, 0.005F, 0.01F, 0.02F, 0.05F}) {
    view.routing_bias_epsilon = epsilon;
    for (std::vector<float>& deltas : view.routing_bias) deltas.clear();
    if (options.deltas && epsilon > 0) LearnDeltas(**pass, run, view);
    (*pass)->routing_bias().SetView(view);
    (*pass)->routing_bias().TakeCounts();
    const ForwardTrace biased = (*pass)->Run(run);
    if (epsilon == 0 && biased.logits != plain.logits) Fail("epsilon 0 changed a logit");
    PrintRow(epsilon, Compare(tokens, plain, biased), (*pass)->routing_bias().TakeCounts());
  }
  return 0;
}

}  // namespace atoll::bench

int main(int argc, char** argv) { return atoll::bench::Main(argc, argv); }
