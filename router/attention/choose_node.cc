#include "router/attention/choose_node.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"

namespace atoll::router {
namespace {

constexpr int64_t kRetryAfterMs = 500;

int64_t Taken(const AttentionLoad& load) { return load.sequences + load.other_sequences; }

bool HasRoom(const AttentionLoad& load, int64_t sequences) {
  // An idle node takes any single request, however many choices it has: they wait their turn there.
  return Taken(load) == 0 || Taken(load) + sequences <= int64_t{load.max_num_seqs} + load.max_queued;
}

// a is better than b: fractions compared as products, so that no rounding makes a difference.
bool Better(const AttentionLoad& a, const AttentionLoad& b) {
  const int64_t left = Taken(a) * std::max(1, b.max_num_seqs);
  const int64_t right = Taken(b) * std::max(1, a.max_num_seqs);
  return left != right ? left < right : a.prompt_tokens < b.prompt_tokens;
}

absl::Status NoNode(bool long_enough, int64_t positions, size_t nodes) {
  if (!long_enough) {
    return absl::InvalidArgumentError(absl::StrCat("no attention node takes sequences of ", positions, " positions"));
  }
  return WithErrorInfo(absl::ResourceExhaustedError(absl::StrCat("all ", nodes, " attention nodes are full; try again later")),
                       {.reason = "ATTENTION_NODES_FULL", .metadata = {}, .retry_after_ms = kRetryAfterMs});
}

}  // namespace

absl::StatusOr<size_t> ChooseAttentionNode(std::span<const AttentionLoad> loads, int64_t sequences, int64_t positions) {
  size_t best = loads.size();
  bool long_enough = false;
  for (size_t i = 0; i < loads.size(); ++i) {
    if (loads[i].max_model_len < positions) continue;
    long_enough = true;
    if (!HasRoom(loads[i], sequences)) continue;
    if (best == loads.size() || Better(loads[i], loads[best])) best = i;
  }
  if (best == loads.size()) return NoNode(long_enough, positions, loads.size());
  return best;
}

}  // namespace atoll::router
