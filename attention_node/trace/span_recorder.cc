#include "attention_node/trace/span_recorder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace atoll::attention_node {
namespace {

constexpr int64_t kNsPerUs = 1000;

bool IsTraced(int64_t step_of_sequence) { return step_of_sequence <= kStepsTracedFirst || step_of_sequence % kStepTracedEach == 0; }

// Sums over the layers of one group.
struct LayerTimes {
  int64_t attention_ns = 0, dispatch_ns = 0, shared_ns = 0, wait_ns = 0, combine_ns = 0;

  void Add(const LayerTrace& layer) {
    attention_ns += layer.attention_end_ns - layer.begin_ns;
    if (layer.posted_ns == 0) return;
    const bool shared_first = layer.shared_end_ns <= layer.posted_ns;
    shared_ns += layer.shared_end_ns - layer.shared_begin_ns;
    dispatch_ns += layer.posted_ns - (shared_first ? layer.shared_end_ns : layer.attention_end_ns);
    wait_ns += layer.complete_ns - std::max(layer.shared_end_ns, layer.posted_ns);
    combine_ns += layer.combined_ns - layer.complete_ns;
  }
};

int64_t EndOf(const LayerTrace& layer) { return std::max(layer.attention_end_ns, layer.combined_ns); }

trace::Attributes TimesOf(const StageTimes& times) {
  return {{"atoll.queue_us", times.queue_ns / kNsPerUs},         {"atoll.attention_us", times.attention_ns / kNsPerUs},
          {"atoll.dispatch_us", times.dispatch_ns / kNsPerUs},   {"atoll.experts_us", times.experts_ns / kNsPerUs},
          {"atoll.combine_us", times.combine_ns / kNsPerUs},     {"atoll.sampling_us", times.sampling_ns / kNsPerUs},
          {"atoll.preemptions", int64_t{times.preemptions}}};
}

std::string ErrorOf(EndReason reason, const absl::Status& status) {
  if (reason == EndReason::kCancelled) return "cancelled";
  return status.ok() ? "" : std::string(status.message());
}

}  // namespace

std::unique_ptr<SequenceTrace> SpanRecorder::OnArrival(const SequenceRequest& request, int64_t now_ns) {
  if (tracer_ == nullptr || request.trace.empty()) return nullptr;
  const trace::TraceContext context = tracer_->NewSpan(request.trace);
  if (!context.sampled()) return nullptr;
  return std::make_unique<SequenceTrace>(
      SequenceTrace{.context = context, .parent = request.trace.span_id, .arrived_ns = now_ns, .traced_steps = {}});
}

trace::TraceContext SpanRecorder::BeginStep(std::span<const StepShare> shares) {
  if (tracer_ == nullptr) return {};
  const SequenceTrace* first = nullptr;
  for (const StepShare& share : shares) {
    SequenceTrace* const sequence = share.sequence->trace();
    if (sequence == nullptr) continue;
    if (sequence->started_ns == 0) sequence->started_ns = clock_.NowNs();
    if (IsTraced(++sequence->steps) && first == nullptr) first = sequence;
  }
  if (first == nullptr) return {};
  const trace::TraceContext step = tracer_->NewSpan(first->context);
  step_parent_ = first->context.span_id;
  for (const StepShare& share : shares) {
    SequenceTrace* const sequence = share.sequence->trace();
    if (sequence != nullptr && sequence->traced_steps.size() < trace::kLinksMax) sequence->traced_steps.push_back(step);
  }
  return step.sampled() ? step : trace::TraceContext{};
}

void SpanRecorder::EndStep(const trace::TraceContext& context, const StepTrace& trace) {
  if (context.empty()) return;
  const trace::UnixTime unix_ns(clock_);
  RecordLayers(context, trace);
  if (trace.head_begin_ns != 0) {
    RecordStage(context, "head and sampling", trace.head_begin_ns, trace.head_end_ns, {{"atoll.sampling_us", trace.sampling_ns / kNsPerUs}});
  }
  tracer_->Record({.context = context,
                   .parent = step_parent_,
                   .name = "step",
                   .begin_unix_ns = unix_ns(trace.begin_ns),
                   .end_unix_ns = unix_ns(clock_.NowNs()),
                   .attributes = {{"atoll.step", static_cast<int64_t>(trace.step)},
                                  {"atoll.rows", int64_t{trace.rows}},
                                  {"atoll.prompt_rows", int64_t{trace.prompt_rows}},
                                  {"atoll.micro_batches", int64_t{trace.micro_batches}},
                                  {"atoll.request_ids", trace.request_ids}}});
}

// Layers of the step one after the other, in as many groups as spans are allowed; with two micro-batches their times overlap.
void SpanRecorder::RecordLayers(const trace::TraceContext& step, const StepTrace& trace) {
  if (trace.layers.empty()) return;
  int32_t layers = 0;
  for (const LayerTrace& layer : trace.layers) layers = std::max(layers, layer.layer + 1);
  const int32_t group = (layers + static_cast<int32_t>(kLayerGroupsMax) - 1) / static_cast<int32_t>(kLayerGroupsMax);
  for (int32_t first = 0; first < layers; first += group) {
    const int32_t last = std::min(first + group, layers) - 1;
    LayerTimes times;
    int64_t begin_ns = 0, end_ns = 0;
    for (const LayerTrace& layer : trace.layers) {
      if (layer.layer < first || layer.layer > last) continue;
      begin_ns = begin_ns == 0 ? layer.begin_ns : std::min(begin_ns, layer.begin_ns);
      end_ns = std::max(end_ns, EndOf(layer));
      times.Add(layer);
    }
    RecordStage(step, first == last ? absl::StrCat("layer ", first) : absl::StrCat("layers ", first, " to ", last), begin_ns, end_ns,
                {{"atoll.attention_us", times.attention_ns / kNsPerUs},
                 {"atoll.dispatch_us", times.dispatch_ns / kNsPerUs},
                 {"atoll.shared_expert_us", times.shared_ns / kNsPerUs},
                 {"atoll.expert_wait_us", times.wait_ns / kNsPerUs},
                 {"atoll.combine_us", times.combine_ns / kNsPerUs}});
  }
}

void SpanRecorder::RecordStage(const trace::TraceContext& step, std::string name, int64_t begin_ns, int64_t end_ns, trace::Attributes attributes) {
  const trace::UnixTime unix_ns(clock_);
  tracer_->Record({.context = tracer_->NewSpan(step),
                   .parent = step.span_id,
                   .name = std::move(name),
                   .begin_unix_ns = unix_ns(begin_ns),
                   .end_unix_ns = unix_ns(end_ns),
                   .attributes = std::move(attributes)});
}

void SpanRecorder::OnToken(Sequence& sequence) {
  SequenceTrace* const trace = sequence.trace();
  if (trace != nullptr && trace->first_token_ns == 0) trace->first_token_ns = clock_.NowNs();
}

void SpanRecorder::OnEnd(Sequence& sequence, EndReason reason, const absl::Status& status) {
  const SequenceTrace* const trace = sequence.trace();
  if (trace == nullptr) return;
  const trace::UnixTime unix_ns(clock_);
  trace::Span span{.context = trace->context,
                   .parent = trace->parent,
                   .name = "sequence",
                   .kind = trace::SpanKind::kServer,
                   .begin_unix_ns = unix_ns(trace->arrived_ns),
                   .end_unix_ns = unix_ns(clock_.NowNs()),
                   .attributes = TimesOf(sequence.times()),
                   .links = trace->traced_steps,
                   .error = ErrorOf(reason, status)};
  span.attributes.emplace_back("atoll.request_id", sequence.request().request_id);
  span.attributes.emplace_back("atoll.choice", int64_t{sequence.request().sequence_index});
  span.attributes.emplace_back("atoll.prompt_tokens", int64_t{sequence.prompt_count()});
  span.attributes.emplace_back("atoll.tokens", int64_t{sequence.generated_count()});
  span.attributes.emplace_back("atoll.steps", trace->steps);
  if (trace->started_ns != 0) span.events.push_back({.name = "first step", .unix_ns = unix_ns(trace->started_ns)});
  if (trace->first_token_ns != 0) span.events.push_back({.name = "first token", .unix_ns = unix_ns(trace->first_token_ns)});
  tracer_->Record(std::move(span));
}

}  // namespace atoll::attention_node
