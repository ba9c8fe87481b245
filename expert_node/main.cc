// atoll-expert: reads its options, holds and runs experts until SIGTERM or SIGINT.

#include "base/log.h"
#include "base/options.h"
#include "expert_node/app.h"
#include "node/process.h"

namespace {

using atoll::expert_node::App;
using atoll::expert_node::ExpertOptions;

void Define(ExpertOptions& options, atoll::Options& program) {
  atoll::node::DefineNodeOptions(options.node, program);
  program.Group("experts");
  program.Int("--expert-memory-bytes", &options.expert_memory_bytes, {0, int64_t{1} << 46},
              "memory for replicas; 0: what the machine has free");
  program.Float("--speed", &options.speed, {0.001, 1000}, "rate relative to a plain CPU node, for placement");
  program.Int("--gather-wait-us", &options.gather_wait_us, {0, 100'000}, "how long rows wait for those of other nodes");
  program.Float("--drain-timeout", &options.drain_timeout_s, {0, 86400},
                "seconds after SIGTERM in which the router may move away what only this node holds");
  program.Int("--throttle", &options.throttle, {1, 1000}, "for tests: take so many times the time that is needed");
  program.Logging();
  program.ReadFileAndEnvironment();
}

}  // namespace

int main(int argc, char** argv) {
  atoll::SetLogName("atoll-expert");
  ExpertOptions options;
  atoll::Options program({.name = "atoll-expert",
                          .summary = "Holds routed experts and runs them for attention nodes.",
                          .examples = "  atoll-expert --model checkpoints/tales --router 127.0.0.1:50051\n"
                                      "  atoll-expert --model /models/v3 --router router:50051 --listen 0.0.0.0:7100 --advertise host-3\n"});
  Define(options, program);
  if (const int exit = program.Parse(argc, argv); exit >= 0) return exit;

  return atoll::node::RunUntilStopped<App>(options);
}
