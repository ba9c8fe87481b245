#include "expert_node/core.h"

#include <algorithm>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "expert_node/batch_spans.h"

namespace atoll::expert_node {
namespace {

// Rows of one dispatch that a link takes without waiting for credit: a step of the default budget.
constexpr int64_t kDispatchRows = 512;
constexpr int64_t kWindowMin = 32;
constexpr int64_t kWindowSpare = 4;
constexpr int32_t kBatchPairsMin = 4096;
constexpr int64_t kBatchBytesMax = 64 << 20;

int32_t PairsPerPart(const net::FrameLimits& limits) {
  const uint64_t row_bytes = net::WireRowBytes(limits.result_dtype, limits.hidden_size);
  return static_cast<int32_t>(std::max<uint64_t>(1, std::min<uint64_t>(limits.pairs_max, limits.part_bytes / row_bytes)));
}

net::SessionTerms MakeTerms(const CoreOptions& options, const model::Checkpoint& checkpoint) {
  const model::ModelConfig& config = checkpoint.config();
  net::SessionTerms terms = node::TermsOf(config, checkpoint.fingerprint(), options.activation_dtype);
  terms.numerics_fingerprint = options.numerics_fingerprint;
  // A part has whole rows (net::SplitIntoParts): with fewer credits than parts the rest would wait for the sender to look.
  const int64_t part_rows = std::max<int64_t>(1, PairsPerPart(terms.limits) / config.gate.num_experts_per_tok);
  const int64_t parts = (kDispatchRows + part_rows - 1) / part_rows;
  terms.window = static_cast<uint32_t>(std::clamp<int64_t>(parts + kWindowSpare, kWindowMin, net::kWindowMax));
  return terms;
}

// Pairs of a batch: many, for weights are read once per batch, but no more than its output has memory for.
int32_t BatchPairs(const net::FrameLimits& limits) {
  const auto row_bytes = static_cast<int64_t>(net::WireRowBytes(limits.result_dtype, limits.hidden_size));
  return std::max(PairsPerPart(limits), static_cast<int32_t>(std::min<int64_t>(kBatchPairsMin, kBatchBytesMax / row_bytes)));
}

DispatchKey KeyOf(uint64_t link, const net::FrameHeader& header) {
  return {link, header.step, header.layer, header.micro_batch, header.attempt};
}

// The header of whatever answers `dispatch`: the same work, the same part.
net::FrameHeader AnswerHeader(const net::FrameHeader& dispatch, net::FrameType type) {
  net::FrameHeader header;
  header.type = type;
  header.epoch = dispatch.epoch;
  header.step = dispatch.step;
  header.layer = dispatch.layer;
  header.micro_batch = dispatch.micro_batch;
  header.part = dispatch.part;
  header.parts = dispatch.parts;
  header.attempt = dispatch.attempt;
  header.trace = dispatch.trace;
  return header;
}

}  // namespace

ExpertCore::ExpertCore(const CoreOptions& options, const CoreParts& parts)
    : options_(options),
      parts_(parts),
      terms_(MakeTerms(options, *parts.checkpoint)),
      store_(options.parts_max, terms_.limits),
      pairs_max_(BatchPairs(terms_.limits)),
      grouper_({options.parts_max, pairs_max_, options.parts_wait_ns, options.gather_wait_ns}),
      runner_(parts.kernels, pairs_max_, parts.checkpoint->config().moe_intermediate_size),
      outbox_(2 * options.parts_max) {
  const net::FrameLimits& limits = terms_.limits;
  for (int32_t i = 0; i < options.batches_max; ++i)
    batches_.push_back(std::make_unique<FinishedBatch>(pairs_max_, limits.experts, limits.hidden_size, limits.result_dtype));
  servable_.reserve(options.parts_max);
}

absl::StatusOr<net::SessionTicket> ExpertCore::Mint(const node::SessionRequest& request) {
  ATOLL_CHECK(host_ != nullptr, "Mint before Attach");
  if (request.callee_incarnation != 0 && request.callee_incarnation != options_.incarnation)
    return absl::FailedPreconditionError(absl::StrCat("this node's incarnation is ", options_.incarnation, ", the caller means ",
                                                      request.callee_incarnation, ": wait for a newer view of the cluster"));
  // Of the terms the caller decides model, shape and dtype alone; all else is ours.
  net::SessionTerms theirs = terms_;
  theirs.model_fingerprint = request.terms.model_fingerprint;
  theirs.limits.hidden_size = request.terms.limits.hidden_size;
  theirs.limits.row_dtype = request.terms.limits.row_dtype;
  theirs.limits.result_dtype = request.terms.limits.result_dtype;
  ATOLL_RETURN_IF_ERROR(net::MatchTerms(terms_, theirs));
  return host_->AllowSession(request.caller_node_id, terms_);
}

void ExpertCore::RunOnce(std::chrono::nanoseconds timeout) {
  turns_.fetch_add(1, std::memory_order_relaxed);
  host_->Poll(PollTime(timeout));
  SendAnswers();
  RunBatch();
}

std::chrono::nanoseconds ExpertCore::PollTime(std::chrono::nanoseconds longest) const {
  const std::optional<int64_t> ready_ns = grouper_.NextReadyNs();
  if (!ready_ns) return longest;
  const bool can_run = std::any_of(batches_.begin(), batches_.end(), [](const auto& batch) { return batch->unsent == 0; });
  if (!can_run) return longest;
  return std::clamp(std::chrono::nanoseconds(*ready_ns - parts_.clock->NowNs()), std::chrono::nanoseconds(0), longest);
}

void ExpertCore::RunBatch() {
  FinishedBatch* finished = FreeBatch();
  if (finished == nullptr) return;
  const std::span<const int32_t> taken = grouper_.Take(parts_.clock->NowNs());
  if (taken.empty()) return;
  const uint16_t layer = store_.At(taken[0]).header.layer;
  const std::shared_ptr<const ExpertTable> table = parts_.store->Table();
  const std::span<const int32_t> parts = Servable(taken, *table);
  if (parts.empty()) return;
  finished->batch.Build(store_, parts);
  const int64_t begin_ns = parts_.clock->NowNs();
  const absl::Status computed = Compute(*finished, layer, *table);
  if (parts_.tracer != nullptr) RecordBatchSpans(*parts_.tracer, *parts_.clock, {store_, parts, finished->batch, begin_ns});
  AnswerParts(parts, finished, computed);
  rows_run_ += static_cast<uint64_t>(finished->batch.pair_count());
  ++batches_run_;
  SendAnswers();
}

// A throttled node is slow as a slow one would be: it answers late, and its time counts as spent computing.
absl::Status ExpertCore::Compute(FinishedBatch& finished, uint16_t layer, const ExpertTable& table) {
  const int64_t begin_ns = parts_.clock->NowNs();
  const MatrixView out = finished.out.Rows(0, finished.batch.pair_count());
  const absl::Status status = runner_.Run(finished.batch, layer, table, store_.rows(), out);
  if (options_.throttle > 1)
    std::this_thread::sleep_for(std::chrono::nanoseconds((options_.throttle - 1) * (parts_.clock->NowNs() - begin_ns)));
  busy_ns_ += static_cast<uint64_t>(parts_.clock->NowNs() - begin_ns);
  return status;
}

// A peer that does not take its results holds one batch at most: its parts rest until it does.
void ExpertCore::SendAnswers() {
  outbox_.Flush(links_);
  grouper_.Pause(outbox_.blocked());
}

FinishedBatch* ExpertCore::FreeBatch() {
  for (const auto& batch : batches_)
    if (batch->unsent == 0) return batch.get();
  return nullptr;
}

std::span<const int32_t> ExpertCore::Servable(std::span<const int32_t> parts, const ExpertTable& table) {
  const int64_t now_ns = parts_.clock->NowNs();
  servable_.clear();
  for (int32_t index : parts) {
    const DispatchPart& part = store_.At(index);
    const bool expired = part.header.deadline_us != 0 && now_ns - part.arrived_ns > int64_t{part.header.deadline_us} * 1000;
    const bool loaded = std::all_of(part.pairs.begin(), part.pairs.end(),
                                    [&](net::Pair pair) { return table.Find(part.header.layer, pair.expert) != nullptr; });
    if (!expired && loaded) {
      servable_.push_back(index);
      continue;
    }
    if (expired) ++expired_;
    else Refuse(part.link, part.header, net::RefuseReason::kNotOwned);
    store_.Free(index);
  }
  return servable_;
}

void ExpertCore::AnswerParts(std::span<const int32_t> parts, FinishedBatch* batch, const absl::Status& status) {
  if (!status.ok()) LogError(std::string(status.message()));
  int32_t first_pair = 0;
  for (int32_t index : parts) {
    const DispatchPart& part = store_.At(index);
    Answer answer{part.link, AnswerHeader(part.header, net::FrameType::kResult), nullptr, first_pair};
    answer.header.dtype = terms_.limits.result_dtype;
    answer.header.code = static_cast<uint16_t>(status.code());
    if (status.ok()) {
      answer.batch = batch;
      answer.header.pair_count = static_cast<uint32_t>(part.pairs.size());
    }
    first_pair += static_cast<int32_t>(part.pairs.size());
    Reply(answer);
    store_.Free(index);
  }
}

void ExpertCore::OnFrame(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload) {
  switch (header.type) {
    case net::FrameType::kDispatch: return ReceiveDispatch(link, header, payload);
    case net::FrameType::kCancel: return Cancel(KeyOf(link.id(), header));
    default: return;  // nothing else is meant for an expert node
  }
}

void ExpertCore::ReceiveDispatch(net::Link& link, const net::FrameHeader& header, std::span<const std::byte> payload) {
  const absl::StatusOr<net::DispatchBody> body = net::DispatchBody::Parse(header, payload, terms_.limits);
  if (!body.ok()) return Refuse(link.id(), header, net::RefuseReason::kMalformed);
  if (body->pair_count() > static_cast<uint32_t>(PairsPerPart(terms_.limits)))
    return Refuse(link.id(), header, net::RefuseReason::kMalformed);
  const int32_t index = store_.Take(*body);
  if (index < 0) return Refuse(link.id(), header, net::RefuseReason::kOverloaded);
  DispatchPart& part = store_.At(index);
  part.link = link.id();
  part.header = header;
  part.arrived_ns = parts_.clock->NowNs();
  grouper_.Add({index, KeyOf(part.link, header), header.parts, part.arrived_ns, static_cast<int32_t>(part.pairs.size())});
}

void ExpertCore::Cancel(const DispatchKey& key) {
  grouper_.RemoveIf([&](const WaitingPart& part) {
    if (part.dispatch != key) return false;
    store_.Free(part.part);
    return true;
  });
}

void ExpertCore::Refuse(uint64_t link, const net::FrameHeader& dispatch, net::RefuseReason reason) {
  ++refused_;
  Answer answer{link, AnswerHeader(dispatch, net::FrameType::kRefuse), nullptr, 0};
  answer.header.code = static_cast<uint16_t>(reason);
  Reply(answer);
}

// A peer that takes no answers while it sends dispatches loses its link: what waits for it is bounded.
void ExpertCore::Reply(const Answer& answer) {
  if (outbox_.Add(answer)) return;
  const auto link = std::find_if(links_.begin(), links_.end(), [&](net::Link* l) { return l->id() == answer.link; });
  if (link != links_.end()) (*link)->Close(absl::ResourceExhaustedError("the peer does not take its results"));
}

void ExpertCore::OnOpen(net::Link& link) {
  LogInfo("link from ", link.peer().name, " is open");
  links_.push_back(&link);
}

void ExpertCore::OnClosed(net::Link& link, const absl::Status& reason) {
  LogInfo("link from ", link.peer().name, " is closed: ", reason.ok() ? "goodbye" : std::string(reason.message()));
  std::erase(links_, &link);
  grouper_.RemoveIf([&](const WaitingPart& part) {
    if (part.dispatch.link != link.id()) return false;
    store_.Free(part.part);
    return true;
  });
}

CoreCounters ExpertCore::counters() const { return {rows_run_.load(), batches_run_.load(), refused_.load(), expired_.load(), busy_ns_.load() / 1000, turns_.load()}; }

}  // namespace atoll::expert_node
