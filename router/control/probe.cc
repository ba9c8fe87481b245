#include "router/control/probe.h"

#include "absl/strings/str_cat.h"

namespace atoll::router {
namespace {

Request OneToken(const ProbeOrder& order, const ProbeOptions& options) {
  Request request;
  request.request_id = absl::StrCat("probe-", order.epoch, "-", order.node_id);
  request.prompt_ids = {options.token_id};
  request.sampling.temperature = 0;
  request.max_tokens = 1;
  request.probe = true;
  request.ignore_eos = true;
  request.deadline_ms = options.timeout_ms;
  return request;
}

}  // namespace

Probe::Probe(const ProbeOrder& order, uint64_t sequence_id, const ProbeOptions& options) : order_(order), options_(options) {
  const StreamSurroundings surroundings{.tokenizer = nullptr, .eos_ids = &eos_ids_, .clock = options_.clock, .observer = this};
  stream_ = std::make_shared<RequestStream>(OneToken(order, options), sequence_id, surroundings, this);
}

void Probe::Run(AttentionClient& client) {
  if (absl::Status status = client.Submit(stream_); !status.ok()) stream_->Fail(status);
}

void Probe::Tick(int64_t now_ns) {
  if (stream_->PastDeadline(now_ns)) {
    stream_->Fail(absl::DeadlineExceededError(absl::StrCat("no token came within ", options_.timeout_ms, " ms")));
  }
}

void Probe::Write(const ResponseDelta& delta) {
  // With one token to sample, the first message is the last one, unless the node sends the end by itself.
  if (delta.summary == nullptr) return;
  const bool answered = delta.summary->completion_tokens == 1;
  options_.done(order_, answered ? absl::OkStatus() : absl::InternalError("the sequence ended without a token"));
  ended_ = true;
}

void Probe::End(const absl::Status& status) {
  options_.done(order_, status);
  ended_ = true;
}

}  // namespace atoll::router
