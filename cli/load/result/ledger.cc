#include "cli/load/result/ledger.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace atoll::load {

Outcome Judge(const RequestRecord& record) {
  if (record.hung) return Outcome::kFailed;
  if (record.end.ok) return record.tokens == record.end.completion_tokens ? Outcome::kOk : Outcome::kFailed;
  if (record.cancel_asked) return Outcome::kCancelled;
  return record.end.refusal && record.tokens == 0 ? Outcome::kRefused : Outcome::kFailed;
}

void Ledger::Begin(const RequestRecord& record) {
  const bool is_new = open_.emplace(record.index, record).second;
  ATOLL_CHECK(is_new, absl::StrCat("request ", record.index, " sent twice"));
}

bool Ledger::Tokens(uint64_t index, int64_t tokens, int64_t now_ns, int64_t* received) {
  const auto found = open_.find(index);
  if (found == open_.end()) return false;
  RequestRecord& record = found->second;
  const bool first = record.tokens == 0;
  const int64_t gap_ns = now_ns - record.last_ns;
  record.tokens += tokens;
  ++record.messages;
  record.last_ns = now_ns;
  if (first) record.first_ns = now_ns;
  else record.longest_gap_ns = std::max(record.longest_gap_ns, gap_ns);
  if (received) *received = record.tokens;
  events_.on_tokens(now_ns, tokens);
  first ? events_.on_first(record) : events_.on_gap(gap_ns, record);
  return true;
}

void Ledger::AskCancel(uint64_t index, bool hung) {
  const auto found = open_.find(index);
  if (found == open_.end()) return;
  found->second.cancel_asked = true;
  found->second.hung = found->second.hung || hung;
}

std::optional<Outcome> Ledger::End(uint64_t index, const CallEnd& end, int64_t now_ns) {
  const auto found = open_.find(index);
  if (found == open_.end()) return std::nullopt;
  RequestRecord record = std::move(found->second);
  open_.erase(found);
  record.end = end;
  record.end_ns = now_ns;
  record.outcome = Judge(record);
  if (record.hung) {
    record.end.reason = "HUNG";
  } else if (end.ok && record.outcome == Outcome::kFailed) {
    record.end.reason = "TOKEN_COUNT";
    record.end.message = absl::StrCat("expected the ", end.completion_tokens, " tokens that the server counted, received ", record.tokens);
  }
  events_.on_end(record);
  return record.outcome;
}

std::vector<uint64_t> Ledger::OpenIndices() const {
  std::vector<uint64_t> indices;
  for (const auto& [index, record] : open_) indices.push_back(index);
  return indices;
}

std::vector<uint64_t> Ledger::SilentSince(int64_t before_ns) const {
  std::vector<uint64_t> indices;
  for (const auto& [index, record] : open_)
    if (!record.cancel_asked && std::max(record.sent_ns, record.last_ns) < before_ns) indices.push_back(index);
  return indices;
}

}  // namespace atoll::load
