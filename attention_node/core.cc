#include "attention_node/core.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace atoll::attention_node {

struct AttentionCore::Live {
  Live(SequenceRequest request, int64_t now_ns, const Vocabulary& vocabulary, Constraints* constraints)
      : sequence(std::move(request), now_ns), sampler(sequence.request(), vocabulary, constraints) {}

  Sequence sequence;
  SequenceSampler sampler;
  std::vector<SampledToken> prompt;  // log-probabilities that this step brought
  int32_t event = -1;  // its event of this step
  bool ended = false;
  bool silent = false;  // nobody wants its events
};

// Samples as logits come; keeps what each share got.
class AttentionCore::Reader final : public LogitsReader {
 public:
  explicit Reader(AttentionCore& core) : core_(core) {}

  void OnLogits(std::span<const int32_t> rows, ConstMatrixView logits) override {
    SampleWish wishes[kHeadRows];
    SampleResult results[kHeadRows];
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = core_.plan_.rows[rows[i]];
      Live& live = core_.LiveOfShare(row.sequence);
      const bool last = row.position + 1 == live.sequence.known();
      wishes[i] = {&live.sampler, live.sequence.generated_count(), live.sequence.request().logprobs,
                   last ? -1 : live.sequence.tokens()[row.position + 1]};
    }
    core_.sampler_.Sample(logits, {wishes, rows.size()}, {results, rows.size()});
    for (size_t i = 0; i < rows.size(); ++i) {
      const StepRow& row = core_.plan_.rows[rows[i]];
      if (wishes[i].given < 0) core_.results_[row.sequence] = std::move(results[i]);
      else KeepPrompt(row, std::move(results[i]));
    }
  }

 private:
  // Rows of a sequence come in position order.
  void KeepPrompt(const StepRow& row, SampleResult result) {
    Live& live = core_.LiveOfShare(row.sequence);
    if (!result.status.ok()) core_.outcome_.sequences[row.sequence] = std::move(result.status);
    live.sequence.TellPromptLogprob(row.position);
    live.prompt.push_back(std::move(result.token));
  }

  AttentionCore& core_;
};

int32_t PagesIn(int64_t bytes, const model::ModelConfig& config, DType activation_dtype) {
  const int64_t page_bytes = model::PageBytes(config, activation_dtype);
  return static_cast<int32_t>(std::clamp<int64_t>(bytes / page_bytes, 0, std::numeric_limits<int32_t>::max() / 2));
}

namespace {

absl::Status CheckOptions(const CoreOptions& options, const model::ModelConfig& config) {
  const auto check = [](const char* name, int64_t value, int64_t lowest, int64_t highest) {
    if (value >= lowest && value <= highest) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, ", expected ", lowest, " to ", highest));
  };
  ATOLL_RETURN_IF_ERROR(check("--max-num-seqs", options.max_num_seqs, 1, 1 << 16));
  ATOLL_RETURN_IF_ERROR(check("--max-num-batched-tokens", options.max_num_batched_tokens, 1, 1 << 16));
  ATOLL_RETURN_IF_ERROR(check("--max-model-len", options.max_model_len, 1, config.max_position_embeddings));
  ATOLL_RETURN_IF_ERROR(check("--max-queued", options.max_queued, 1, 1 << 20));
  if (options.pages >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--kv-cache-memory-bytes: no page fits, a page of ", kPagePositions, " positions takes ",
                                                 model::PageBytes(config, options.activation_dtype), " bytes"));
}

Vocabulary VocabularyOf(const model::ModelConfig& config, const std::vector<int32_t>& eos_ids, int32_t token_count) {
  Vocabulary vocabulary{static_cast<int32_t>(config.vocab_size), eos_ids, {}};
  for (int32_t id = token_count; token_count > 0 && id < vocabulary.size; ++id) vocabulary.padding_ids.push_back(id);
  return vocabulary;
}

void AddTimes(const StageTimes& step, StageTimes& sum) {
  sum.attention_ns += step.attention_ns;
  sum.dispatch_ns += step.dispatch_ns;
  sum.experts_ns += step.experts_ns;
  sum.combine_ns += step.combine_ns;
  sum.sampling_ns += step.sampling_ns;
  sum.steps += step.steps;
}

}  // namespace

absl::StatusOr<std::unique_ptr<AttentionCore>> AttentionCore::Create(const CoreOptions& options, const CoreParts& parts) {
  CoreOptions filled = options;
  const model::ModelConfig& config = parts.shard->config;
  if (filled.max_model_len == 0) filled.max_model_len = static_cast<int32_t>(config.max_position_embeddings);
  ATOLL_RETURN_IF_ERROR(CheckOptions(filled, config));
  return std::unique_ptr<AttentionCore>(new AttentionCore(filled, parts));
}

AttentionCore::AttentionCore(const CoreOptions& options, const CoreParts& parts)
    : options_(options), parts_(parts),
      bounds_{static_cast<int32_t>(parts.shard->config.vocab_size), options.max_model_len, options.pages},
      vocabulary_(VocabularyOf(parts.shard->config, parts.eos_ids, options.token_count)), mailbox_(options.max_queued),
      counts_(parts.shard->config), routing_bias_(parts.shard->config, options.max_num_batched_tokens), pages_free_(options.pages), shares_processors_(options.shares_processors), pool_(options.pages),
      page_bytes_(static_cast<size_t>(model::PageBytes(parts.shard->config, options.activation_dtype))),
      runner_({parts.shard, parts.kernels, parts.exchange, &counts_, parts.clock, &routing_bias_},
              {options.max_num_batched_tokens, options.activation_dtype, kernels::Threads(parts.kernels)}),
      sampler_(bounds_.vocabulary, parts.kernels, kHeadRows), spans_(parts.tracer, *parts.clock) {
  pages_ = kernels::HugeBuffer(static_cast<size_t>(options.pages) * page_bytes_);
}

AttentionCore::~AttentionCore() = default;

absl::Status AttentionCore::Submit(SequenceRequest request) {
  ATOLL_RETURN_IF_ERROR(CheckRequest(request, bounds_));
  ATOLL_RETURN_IF_ERROR(CompileConstraint(request));
  ATOLL_RETURN_IF_ERROR(mailbox_.Submit(std::move(request)));
  parts_.exchange->Wake();
  return absl::OkStatus();
}

// Here, not on the step thread: a large schema takes a while.
absl::Status AttentionCore::CompileConstraint(SequenceRequest& request) {
  request.compiled.reset();
  if (!request.constraint) return absl::OkStatus();
  if (parts_.constraints == nullptr) return absl::FailedPreconditionError("constraint: this node has no tokenizer that could follow one");
  ATOLL_ASSIGN_OR_RETURN(request.compiled, parts_.constraints->Compile(*request.constraint));
  ConstrainedText text(*request.compiled, *parts_.constraints);
  for (size_t i = 0; i < request.generated_ids.size(); ++i) {
    if (!text.Take(request.generated_ids[i])) return absl::InvalidArgumentError(absl::StrCat("generated_ids[", i, "] is a token that the constraint does not take"));
  }
  return absl::OkStatus();
}

void AttentionCore::Cancel(SequenceKey key) {
  mailbox_.Cancel(key);
  parts_.exchange->Wake();
}

void AttentionCore::CancelStream(uint64_t stream) {
  mailbox_.CancelStream(stream);
  parts_.exchange->Wake();
}

CoreLoad AttentionCore::load() const {
  return {.running = running_.load(),
          .waiting = mailbox_.waiting(),
          .pages_free = pages_free_.load(),
          .steps = steps_.load(),
          .preemptions = preemptions_.load(),
          .layers_run = runner_.layers_run(),
          .turns = turns_.load() + runner_.layers_run()};
}

void AttentionCore::RunOnce(std::chrono::nanoseconds idle) {
  turns_.fetch_add(1, std::memory_order_relaxed);
  TakeMail();
  EndExpired(parts_.clock->NowNs());
  ChooseShares();
  if (!shares_.empty()) RunStep();
  const bool worked = !shares_.empty();
  DeliverAndSweep();
  if (!worked) parts_.exchange->Wait(idle);
}

void AttentionCore::TakeMail() {
  Mailbox::Mail mail = mailbox_.Take();
  if (mail.empty()) return;
  const int64_t now_ns = parts_.clock->NowNs();
  for (SequenceRequest& request : mail.submitted) {
    std::unique_ptr<SequenceTrace> trace = spans_.OnArrival(request, now_ns);
    live_.push_back(std::make_unique<Live>(std::move(request), now_ns, vocabulary_, parts_.constraints));
    live_.back()->sequence.SetTrace(std::move(trace));
  }
  if (mail.cancelled.empty() && mail.abandoned.empty()) return;
  for (const std::unique_ptr<Live>& live : live_) {
    live->silent = mail.abandoned.contains(live->sequence.key());
    if (live->silent || mail.cancelled.contains(live->sequence.key())) End(*live, EndReason::kCancelled, absl::OkStatus());
  }
}

void AttentionCore::EndExpired(int64_t now_ns) {
  for (const std::unique_ptr<Live>& live : live_) {
    const int64_t deadline_ns = live->sequence.request().deadline_ns;
    if (!live->ended && deadline_ns != 0 && now_ns >= deadline_ns) Fail(*live, absl::DeadlineExceededError("the request's deadline has passed"));
  }
}

// Asks the batcher and does what it decided: preempted pages back, new pages out, the step's plan built.
void AttentionCore::ChooseShares() {
  shares_.clear();
  std::erase_if(live_, [](const std::unique_ptr<Live>& live) { return live->ended; });
  if (live_.empty()) return;
  candidates_.clear();
  for (const std::unique_ptr<Live>& live : live_) {
    const Sequence& sequence = live->sequence;
    candidates_.push_back({.known = sequence.known(),
                           .computed = sequence.computed(),
                           .pages = static_cast<int32_t>(sequence.pages().size()),
                           .running = sequence.running(),
                           .last_step = sequence.last_step()});
  }
  ChooseBatch(candidates_, {options_.max_num_batched_tokens, options_.max_num_seqs, pool_.free_count()}, decision_);
  const int64_t now_ns = parts_.clock->NowNs();
  for (const int32_t i : decision_.preempted) live_[i]->sequence.Preempt(pool_, now_ns);
  preemptions_ += decision_.preempted.size();
  for (const BatchShare& share : decision_.shares) {
    Sequence& sequence = live_[share.sequence]->sequence;
    if (!sequence.running()) sequence.Start(now_ns);
    sequence.TakePages(share.new_pages, pool_, pages_.data(), page_bytes_);
    shares_.push_back({&sequence, share.row_count});
  }
}

AttentionCore::Live& AttentionCore::LiveOfShare(int32_t share) { return *live_[decision_.shares[share].sequence]; }

void AttentionCore::RunStep() {
  int32_t rows = 0;
  for (const StepShare& share : shares_) rows += share.row_count;
  plan_.shared_expert_first = shares_processors_;
  BuildStep(shares_, ChooseMicroBatches(rows, plan_.shared_expert_first, options_.micro_batches), plan_);
  plan_.step = ++step_number_;
  plan_.probe = std::all_of(shares_.begin(), shares_.end(), [](const StepShare& share) { return share.sequence->request().probe; });
  if (!plan_.probe) ++steps_;
  results_.assign(shares_.size(), SampleResult{});
  Reader reader(*this);
  plan_.span = spans_.BeginStep(shares_);
  StepTrace* const trace = recorder_.Begin(shares_, !plan_.span.empty());
  runner_.Run(plan_, reader, outcome_, trace);
  if (trace != nullptr) {
    spans_.EndStep(plan_.span, *trace);
    recorder_.End();
  }
  FinishStep();
}

void AttentionCore::FinishStep() {
  for (size_t i = 0; i < shares_.size(); ++i) {
    Live& live = LiveOfShare(static_cast<int32_t>(i));
    Sequence& sequence = live.sequence;
    AddTimes(outcome_.times, sequence.times());
    sequence.AddComputed(shares_[i].row_count, static_cast<int64_t>(plan_.step));
    if (!live.prompt.empty()) EventOf(live).prompt = std::exchange(live.prompt, {});
    if (!outcome_.sequences[i].ok()) Fail(live, outcome_.sequences[i]);
    else if (sequence.computed() == sequence.known()) AddToken(live, results_[i]);
  }
}

void AttentionCore::AddToken(Live& live, SampleResult& result) {
  if (!result.status.ok()) return Fail(live, result.status);
  const int32_t token = result.token.token_id;
  live.sequence.AddToken(token);
  spans_.OnToken(live.sequence);
  live.sampler.AddGenerated(token);
  SequenceEvent& event = EventOf(live);
  event.tokens.push_back(std::move(result.token));
  if (live.sequence.request().report_times) event.times = live.sequence.times();
  const std::optional<EndReason> end = live.sampler.EndAfter(token, live.sequence.generated_count());
  if (end) End(live, *end, absl::OkStatus());
}

void AttentionCore::Fail(Live& live, absl::Status status) { End(live, EndReason::kFailed, std::move(status)); }

void AttentionCore::End(Live& live, EndReason reason, absl::Status status) {
  if (live.ended) return;
  live.ended = true;
  live.sequence.ReleasePages(pool_);
  ended_.push_back(live.sequence.key());
  spans_.OnEnd(live.sequence, reason, status);
  if (!live.silent) EventOf(live).end = SequenceEnd{reason, std::move(status), live.sequence.times()};
}

SequenceEvent& AttentionCore::EventOf(Live& live) {
  if (live.event < 0) {
    live.event = static_cast<int32_t>(events_.size());
    events_.push_back({live.sequence.key(), {}, std::nullopt, std::nullopt, {}});
  }
  return events_[live.event];
}

void AttentionCore::DeliverAndSweep() {
  int32_t running = 0, waiting = 0;
  for (const std::unique_ptr<Live>& live : live_) {
    live->event = -1;
    if (live->ended) continue;
    if (live->sequence.running()) ++running;
    else ++waiting;
  }
  running_ = running;
  pages_free_ = pool_.free_count();
  mailbox_.Settle(ended_, waiting);
  ended_.clear();
  if (events_.empty()) return;
  parts_.sink->OnEvents(events_);
  events_.clear();
}

}  // namespace atoll::attention_node
