// atoll-attention: reads its options, serves sequences until SIGTERM or SIGINT.

#include "attention_node/app.h"
#include "base/log.h"
#include "base/options.h"
#include "node/process.h"

namespace {

using atoll::attention_node::App;
using atoll::attention_node::AttentionOptions;

void Define(AttentionOptions& options, atoll::Options& program) {
  atoll::node::DefineNodeOptions(options.node, program);
  program.Group("batching");
  program.Int("--max-model-len", &options.max_model_len, {0, 1 << 30}, "positions of a sequence; 0: the model's");
  program.Int("--max-num-seqs", &options.max_num_seqs, {1, 1 << 16}, "sequences that run at a time");
  program.Int("--max-num-batched-tokens", &options.max_num_batched_tokens, {1, 1 << 16}, "rows of one step");
  program.Int("--kv-cache-memory-bytes", &options.kv_cache_memory_bytes, {0, int64_t{1} << 46},
              "memory for pages of the latent cache; 0: for all sequences at full length, at most a quarter of the free memory");
  program.Int("--max-queued", &options.max_queued, {1, 1 << 20}, "sequences that wait at most");
  program.Choice("--micro-batches", &options.micro_batches, {"auto", "1", "2"}, "parts of a step that take turns on the wire");
  program.Logging();
  program.ReadFileAndEnvironment();
}

}  // namespace

int main(int argc, char** argv) {
  atoll::SetLogName("atoll-attention");
  AttentionOptions options;
  atoll::Options program({.name = "atoll-attention",
                          .summary = "Runs attention, cache and sampling of sequences, and sends rows to expert nodes.",
                          .examples = "  atoll-attention --model checkpoints/tales --router 127.0.0.1:50051\n"
                                      "  atoll-attention --model /models/v3 --router router:50051 --listen 0.0.0.0:7000 --advertise host-2\n"});
  Define(options, program);
  if (const int exit = program.Parse(argc, argv); exit >= 0) return exit;

  return atoll::node::RunUntilStopped<App>(options);
}
