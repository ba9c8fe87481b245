// step_bench --model DIR [--threads N] [--isa NAME] [--seconds S]
// Steps of an attention node with all experts in the same process: decode of 1, 8 and 32 sequences and prefill of 512, each
// against the roofline of this run. What a cluster of processes is compared with.

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <set>

#include "base/options.h"
#include "tests/attention_node/local_experts.h"
#include "tests/bench/step/roofline.h"

#include "attention_node/core.h"

namespace atoll::bench {
namespace {

using namespace attention_node;

struct BenchOptions {
  std::string model;
  int64_t threads = 0;
  std::string isa = "auto";
  double seconds = 2;
};

class Discard final : public EventSink {
 public:
  void OnEvents(std::span<SequenceEvent> events) override {
    for (const SequenceEvent& event : events) sequences.insert(event.key.id);
  }
  std::set<uint64_t> sequences;  // that have a token
};

// Everything that runs steps.
struct Bench {
  SteadyClock clock;
  std::unique_ptr<kernels::ComputePool> pool;
  kernels::Context context;
  Ceilings ceilings;
  std::unique_ptr<ReadCeiling> read;
  AttentionShard shard;
  std::unique_ptr<LocalExperts> experts;
  double seconds = 2;
};

absl::StatusOr<std::unique_ptr<Bench>> Load(const BenchOptions& options) {
  auto bench = std::make_unique<Bench>();
  bench->seconds = options.seconds;
  bench->pool = std::make_unique<kernels::ComputePool>(kernels::ComputePoolOptions{.threads = static_cast<int>(options.threads), .pin = true});
  bench->pool->PinCaller();
  bench->context.pool = bench->pool.get();
  if (const kernels::KernelError error = kernels::ParseIsa(options.isa, &bench->context.isa); !error.ok()) return absl::InvalidArgumentError(error.text);
  bench->ceilings = MeasureCeilings(*bench->pool);
  bench->read = std::make_unique<ReadCeiling>(*bench->pool);
  ATOLL_ASSIGN_OR_RETURN(const auto checkpoint, model::Checkpoint::Open(options.model));
  ATOLL_ASSIGN_OR_RETURN(bench->shard, LoadAttentionShard(*checkpoint, bench->context, {}));
  ATOLL_ASSIGN_OR_RETURN(bench->experts, LocalExperts::Load(*checkpoint, bench->context, 512));
  return bench;
}

SequenceRequest Prompt(uint64_t id, int32_t positions, int64_t vocabulary) {
  SequenceRequest request;
  request.key = {1, id};
  for (int32_t i = 0; i < positions; ++i) request.prompt_ids.push_back(static_cast<int32_t>((id * 7919 + i * 2654435761u) % vocabulary));
  request.max_tokens = 100000;
  request.ignore_eos = true;
  return request;
}

std::unique_ptr<AttentionCore> MakeCore(Bench& bench, EventSink& sink) {
  CoreOptions options;
  options.pages = 2000;
  return *AttentionCore::Create(options, {&bench.shard, {}, bench.context, bench.experts.get(), &sink, &bench.clock});
}

// Mean number of distinct experts per dispatch, from here on.
struct ExpertSpread {
  explicit ExpertSpread(LocalExperts& experts) : experts_(experts) {
    experts.after_post = [this](const ExpertDispatch& dispatch, std::vector<FailedRow>&) {
      distinct += static_cast<int64_t>(std::set<int32_t>(dispatch.experts.begin(), dispatch.experts.end()).size());
      ++dispatches;
    };
  }
  ~ExpertSpread() { experts_.after_post = {}; }
  int64_t Mean() const { return dispatches == 0 ? 0 : (distinct + dispatches / 2) / dispatches; }

  LocalExperts& experts_;
  int64_t distinct = 0, dispatches = 0;
};

// The fastest step, in wall time and in processor time of all threads (which a busy host disturbs less), the mean of all steps
// (what a rate over many steps compares with), and the read ceiling of the same seconds.
class StepTimer {
 public:
  explicit StepTimer(Bench& bench) : bench_(bench), until_ns_(bench.clock.NowNs() + static_cast<int64_t>(1e9 * bench.seconds)) {
    bench_.ceilings.read_bytes_per_s = 0;
  }

  // Takes its turn at the ceiling now and then.
  bool TimeLeft() {
    const int64_t now_ns = bench_.clock.NowNs();
    if (now_ns >= until_ns_) return false;
    if (now_ns < read_again_ns_) return true;
    bench_.ceilings.read_bytes_per_s = std::max(bench_.ceilings.read_bytes_per_s, bench_.read->Measure(0.05));
    read_again_ns_ = bench_.clock.NowNs() + static_cast<int64_t>(0.2e9 * bench_.seconds);
    return true;
  }
  void Run(AttentionCore& core) {
    const int64_t begin_ns = bench_.clock.NowNs();
    const double cpu_begin = CpuSeconds();
    core.RunOnce({});
    const double wall = 1e-9 * static_cast<double>(bench_.clock.NowNs() - begin_ns);
    wall_ = std::min(wall_, wall);
    wall_sum_ += wall;
    cpu_ = std::min(cpu_, CpuSeconds() - cpu_begin);
    ++steps_;
  }
  int64_t steps() const { return steps_; }
  void Print(const char* what, double rows, double roofline) const {
    std::printf("%-22s %9.1f rows/s  %8.3f ms/step (cpu %8.3f, mean %8.3f)  roofline %8.3f ms (read %.1f GB/s)  ratio %.2f\n", what,
                rows / wall_, 1e3 * wall_, 1e3 * cpu_, 1e3 * wall_sum_ / static_cast<double>(steps_), 1e3 * roofline,
                bench_.ceilings.read_bytes_per_s / 1e9, roofline / wall_);
  }

 private:
  static double CpuSeconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }

  Bench& bench_;
  const int64_t until_ns_;
  int64_t read_again_ns_ = 0;
  double wall_ = 1e9, cpu_ = 1e9, wall_sum_ = 0;
  int64_t steps_ = 0;
};

void Decode(Bench& bench, int32_t sequences) {
  Discard sink;
  const std::unique_ptr<AttentionCore> core = MakeCore(bench, sink);
  const int32_t positions = 64;
  for (int32_t id = 0; id < sequences; ++id) {
    SequenceRequest request = Prompt(static_cast<uint64_t>(id), positions, bench.shard.config.vocab_size);
    request.max_tokens = core->options().max_model_len - positions;
    if (const absl::Status submitted = core->Submit(std::move(request)); !submitted.ok()) std::puts(submitted.ToString().c_str());
  }
  const auto prefilled = [&] { return core->load().waiting == 0 && core->load().steps > 0 && sink.sequences.size() == static_cast<size_t>(sequences); };
  while (!prefilled()) core->RunOnce({});
  ExpertSpread spread(*bench.experts);
  StepTimer timer(bench);
  while (timer.TimeLeft()) timer.Run(*core);
  const StepShape shape{.rows = sequences, .sampled_rows = sequences, .keys = positions + timer.steps() / 2, .distinct_experts = spread.Mean()};
  char name[40];
  std::snprintf(name, sizeof(name), "decode, %d sequences", sequences);
  timer.Print(name, sequences, RooflineSeconds(bench.shard.config, shape, bench.ceilings, bench.context.isa));
}

void Prefill(Bench& bench, int32_t positions) {
  ExpertSpread spread(*bench.experts);
  Discard sink;
  const std::unique_ptr<AttentionCore> core = MakeCore(bench, sink);
  StepTimer timer(bench);
  for (uint64_t id = 1; timer.TimeLeft(); ++id) {
    SequenceRequest request = Prompt(id, positions, bench.shard.config.vocab_size);
    request.max_tokens = 1;
    if (const absl::Status submitted = core->Submit(std::move(request)); !submitted.ok()) std::puts(submitted.ToString().c_str());
    timer.Run(*core);
  }
  const StepShape shape{.rows = positions, .sampled_rows = 1, .keys = positions / 2, .distinct_experts = spread.Mean(), .absorbed = false};
  timer.Print("prefill 512", positions, RooflineSeconds(bench.shard.config, shape, bench.ceilings, bench.context.isa));
}

int Main(int argc, char** argv) {
  BenchOptions options;
  Options program({.name = "step_bench", .summary = "Steps of an attention node with all experts in the same process.", .examples = ""});
  program.String("--model", &options.model, "checkpoint folder");
  program.Require("--model");
  program.Int("--threads", &options.threads, {0, 1024}, "0: one per CPU");
  program.String("--isa", &options.isa, "instruction set");
  program.Float("--seconds", &options.seconds, {0.1, 100}, "per case");
  if (const int exit = program.Parse(argc, argv); exit >= 0) return exit;
  absl::StatusOr<std::unique_ptr<Bench>> bench = Load(options);
  if (!bench.ok()) return std::puts(bench.status().ToString().c_str()), 1;
  std::printf("%s, %d threads: read %.1f GB/s, fma %.0f GFLOP/s, bf16 dot %.0f GFLOP/s\n", kernels::IsaName((*bench)->context.isa), (*bench)->pool->threads(),
              (*bench)->ceilings.read_bytes_per_s / 1e9, (*bench)->ceilings.fma_flops / 1e9, (*bench)->ceilings.dot_flops / 1e9);
  for (const int32_t sequences : {1, 8, 32}) Decode(**bench, sequences);
  Prefill(**bench, 512);
  return 0;
}

}  // namespace
}  // namespace atoll::bench

int main(int argc, char** argv) { return atoll::bench::Main(argc, argv); }
