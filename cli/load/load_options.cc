#include "cli/load/load_options.h"

#include <limits>

#include "absl/strings/str_format.h"
#include "cli/load/plan/duration.h"

namespace atoll::load {
namespace {

constexpr const char* kDefaultDuration = "30s";

absl::Status SetArrivals(const LoadOptions& chosen, const Options& options, LoadPlan* plan) {
  plan->arrivals = !chosen.arrivals.empty() ? chosen.arrivals : options.Given("--rate") ? "poisson" : "closed";
  const bool open = plan->arrivals != "closed" && plan->arrivals != "trace";
  for (const char* name : {"--rate", "--ramp-from"})
    if (!open && options.Given(name)) return absl::FailedPreconditionError(absl::StrCat(name, " goes with --arrivals poisson, gamma or constant, found ", plan->arrivals));
  for (const char* name : {"--concurrency", "--think"})
    if (plan->arrivals != "closed" && options.Given(name)) return absl::FailedPreconditionError(absl::StrCat(name, " goes with --arrivals closed, found ", plan->arrivals));
  if (options.Given("--burstiness") && plan->arrivals != "gamma") return absl::FailedPreconditionError("--burstiness goes with --arrivals gamma");
  if (open && !options.Given("--rate")) return absl::FailedPreconditionError(absl::StrCat("--arrivals ", plan->arrivals, " needs --rate"));
  ATOLL_ASSIGN_OR_RETURN(const int64_t ramp_ns, ParseDurationNs(chosen.ramp, "--ramp"));
  plan->open = {.rate = chosen.rate, .burstiness = plan->arrivals == "constant" ? std::numeric_limits<double>::infinity() : chosen.burstiness,
                .ramp_from = chosen.ramp_from, .ramp_ns = ramp_ns, .seed = static_cast<uint64_t>(chosen.seed)};
  ATOLL_ASSIGN_OR_RETURN(const int64_t think_ns, ParseDurationNs(chosen.think, "--think"));
  plan->closed = {.concurrency = chosen.concurrency, .ramp_ns = ramp_ns, .think_ns = think_ns};
  plan->trace_speed = chosen.trace_speed;
  return absl::OkStatus();
}

absl::Status SetLimits(const LoadOptions& chosen, const Options& options, LoadPlan* plan) {
  RunLimits& limits = plan->limits;
  if (options.Given("--requests")) limits.requests_max = chosen.requests;
  const bool endless = !options.Given("--requests") && plan->arrivals != "trace";
  if (options.Given("--duration") || endless) {
    ATOLL_ASSIGN_OR_RETURN(limits.duration_ns, ParseDurationNs(options.Given("--duration") ? chosen.duration : kDefaultDuration, "--duration"));
  }
  ATOLL_ASSIGN_OR_RETURN(limits.warmup_ns, ParseDurationNs(chosen.warmup, "--warmup"));
  ATOLL_ASSIGN_OR_RETURN(limits.hang_ns, ParseDurationNs(chosen.hang_after, "--hang-after"));
  ATOLL_ASSIGN_OR_RETURN(plan->fault_longest_ns, ParseDurationNs(chosen.fault_timeout, "--fault-timeout"));
  if (limits.warmup_ns >= limits.duration_ns) return absl::FailedPreconditionError("expected --warmup to be shorter than --duration");
  limits.in_flight_max = plan->arrivals == "closed" ? chosen.concurrency : chosen.in_flight_max;
  return absl::OkStatus();
}

absl::Status SetWorkload(const LoadOptions& chosen, LoadPlan* plan) {
  WorkloadOptions& workload = plan->workload;
  const auto law = [](const std::string& text, const char* name, std::optional<LengthLaw>* to) -> absl::Status {
    if (text.empty()) return absl::OkStatus();
    ATOLL_ASSIGN_OR_RETURN(*to, LengthLaw::Parse(text, name));
    return absl::OkStatus();
  };
  ATOLL_RETURN_IF_ERROR(law(chosen.prompt_tokens, "--prompt-tokens", &workload.prompt_tokens));
  ATOLL_RETURN_IF_ERROR(law(chosen.output_tokens, "--output-tokens", &workload.output_tokens));
  workload.shuffle = !chosen.in_order && plan->arrivals != "trace";
  workload.as_chat = chosen.chat;
  workload.ignore_eos = !chosen.stop_at_eos;
  workload.temperature = chosen.temperature;
  workload.cancel_share = chosen.cancel_share;
  workload.seed = static_cast<uint64_t>(chosen.seed);
  return absl::OkStatus();
}

}  // namespace

void LoadOptions::Define(Options* o) {
  o->Group("target");
  o->String("--address", &address, "HOST:PORT of the router, or http://HOST:PORT of an OpenAI-compatible server");
  o->Require("--address");
  o->String("--api-key-file", &api_key_file, "file whose first line is the key for http");
  o->Group("when requests are sent");
  o->Choice("--arrivals", &arrivals, {"closed", "poisson", "gamma", "constant", "trace"}, "closed: so many users who wait for their answers; trace: at the dataset's timestamps; default: poisson with --rate, else closed");
  o->Int("--concurrency", &concurrency, {1, 65536}, "users of a closed loop");
  o->String("--think", &think, "pause of a user between an answer and its next request");
  o->Float("--rate", &rate, {0.001, 1e6}, "requests per second of an open loop");
  o->Float("--burstiness", &burstiness, {0.01, 1000}, "shape of the gaps with gamma: 1 is Poisson, below 1 comes in bursts");
  o->String("--ramp", &ramp, "time until the full rate, or until all users have started");
  o->Float("--ramp-from", &ramp_from, {0, 1e6}, "requests per second at the start of the ramp");
  o->Float("--trace-speed", &trace_speed, {0.001, 1000}, "2 replays a trace in half its time");
  o->Group("how long");
  o->String("--duration", &duration, "send for so long, for example 2m (default: 30s without --requests)");
  o->Int("--requests", &requests, {1, std::numeric_limits<int32_t>::max()}, "send so many");
  o->String("--warmup", &warmup, "requests of this first time are not measured");
  o->Int("--max-in-flight", &in_flight_max, {1, 65536}, "requests at once at most, in an open loop");
  o->String("--hang-after", &hang_after, "a request that is silent for so long has hung and is given up");
  o->Group("what is asked");
  o->String("--dataset", &dataset, "builtin, or a file: JSON lines, or the ShareGPT form");
  o->Int("--dataset-limit", &dataset_limit, {1, 1000000}, "entries read of a file");
  o->Flag("--in-order", &in_order, "take the entries in order instead of drawing them");
  o->String("--prompt-tokens", &prompt_tokens, "prompts of this length, cut from the dataset's texts: N, LOWEST-HIGHEST, normal:MEAN,DEVIATION, lognormal:MEDIAN,SIGMA or exponential:MEAN");
  o->String("--output-tokens", &output_tokens, "tokens per answer, in the same forms (default: what the dataset says, else 64)");
  o->Flag("--chat", &chat, "send texts as a user's message in the model's chat format");
  o->Flag("--stop-at-eos", &stop_at_eos, "let answers end where the model ends them");
  o->Float("--temperature", &temperature, {0, 100}, "0 is greedy");
  o->Float("--cancel-share", &cancel_share, {0, 1}, "share of requests whose client goes away in mid-answer");
  o->Int("--seed", &seed, {0, std::numeric_limits<int64_t>::max()}, "same seed, same load");
  o->Group("judgement and faults");
  o->String("--slo", &slo, "what a good request keeps: ttft=500ms,tpot=50ms, also itl (its longest) and e2e");
  o->List("--at", &at, "--at 10s 'COMMAND': run it then; may be given several times");
  o->String("--fault-timeout", &fault_timeout, "a command that runs longer is ended");
  o->Group("output");
  o->String("--json", &json, "FILE for the report as JSON");
  o->String("--html", &html, "FILE for the report as a page with plots");
  o->String("--ledger", &ledger, "FILE for one JSON line per request");
  o->Flag("--quiet", &quiet, "no progress line");
  for (const char* name : {"--arrivals", "--rate", "--requests", "--duration", "--prompt-tokens", "--output-tokens"}) o->NoDefault(name);
}

absl::StatusOr<LoadPlan> MakePlan(const LoadOptions& chosen, const Options& options) {
  LoadPlan plan;
  ATOLL_RETURN_IF_ERROR(SetArrivals(chosen, options, &plan));
  ATOLL_RETURN_IF_ERROR(SetLimits(chosen, options, &plan));
  ATOLL_RETURN_IF_ERROR(SetWorkload(chosen, &plan));
  ATOLL_ASSIGN_OR_RETURN(plan.slo, Slo::Parse(chosen.slo));
  ATOLL_ASSIGN_OR_RETURN(plan.faults, ParseFaults(chosen.at));
  return plan;
}

std::string LoadPlan::ArrivalsText() const {
  const std::string ramp = open.ramp_ns ? absl::StrCat(", ramp of ", DurationText(static_cast<double>(open.ramp_ns))) : "";
  if (arrivals == "closed") return absl::StrCat("closed loop of ", closed.concurrency, " users", ramp);
  if (arrivals == "trace") return absl::StrCat("trace at ", trace_speed, " x its speed");
  return absl::StrCat("open loop, ", open.rate, " requests/s, ", arrivals, arrivals == "gamma" ? absl::StrCat(" with burstiness ", open.burstiness) : "", ramp);
}

std::unique_ptr<SendSchedule> LoadPlan::MakeSchedule(std::vector<int64_t> times_ns) const {
  if (arrivals == "closed") return std::make_unique<ClosedSchedule>(closed);
  if (arrivals == "trace") return std::make_unique<TraceSchedule>(std::move(times_ns), trace_speed);
  return std::make_unique<OpenSchedule>(open);
}

}  // namespace atoll::load
