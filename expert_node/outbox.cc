#include "expert_node/outbox.h"

#include <algorithm>

#include "base/log.h"

namespace atoll::expert_node {

FinishedBatch::FinishedBatch(int32_t pairs_max, int32_t experts, int64_t hidden, DType dtype)
    : batch(pairs_max, experts),
      memory(static_cast<size_t>(pairs_max * hidden * DTypeBytes(dtype))),
      out{memory.data(), dtype, pairs_max, hidden, hidden} {}

bool Outbox::Add(const Answer& answer) {
  if (waiting_.size() == waiting_.capacity()) return false;
  waiting_.push_back(answer);
  if (answer.batch != nullptr) ++answer.batch->unsent;
  return true;
}

void Outbox::Flush(std::span<net::Link* const> links) {
  blocked_.clear();
  std::erase_if(waiting_, [&](const Answer& answer) {
    const auto link = std::find_if(links.begin(), links.end(), [&](net::Link* l) { return l->id() == answer.link; });
    if (link != links.end() && std::find(blocked_.begin(), blocked_.end(), answer.link) != blocked_.end()) return false;
    if (link != links.end() && !TrySend(answer, *link)) {
      blocked_.push_back(answer.link);
      return false;
    }
    if (answer.batch != nullptr) --answer.batch->unsent;
    return true;
  });
}

bool Outbox::TrySend(const Answer& answer, net::Link* link) {
  pieces_.clear();
  if (answer.batch != nullptr) {
    const MatrixView& out = answer.batch->out;
    const auto row_bytes = static_cast<size_t>(out.cols * DTypeBytes(out.dtype));
    for (int32_t row : answer.batch->batch.result_row().subspan(answer.first_pair, answer.header.pair_count))
      pieces_.emplace_back(out.Row(row), row_bytes);
  }
  const absl::Status status = link->Send(answer.header, pieces_);
  if (absl::IsResourceExhausted(status)) return false;
  // Unavailable: the link's end is on its way to OnClosed.
  if (!status.ok() && !absl::IsUnavailable(status)) LogError("cannot answer ", link->peer().name, ": ", std::string(status.message()));
  return true;
}

}  // namespace atoll::expert_node
