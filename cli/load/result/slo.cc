#include "cli/load/result/slo.h"

#include <map>

#include "absl/strings/str_split.h"
#include "cli/load/plan/duration.h"

namespace atoll::load {

absl::StatusOr<Slo> Slo::Parse(std::string_view text) {
  Slo slo;
  const std::map<std::string, std::optional<int64_t>*> bounds{{"ttft", &slo.ttft_ns}, {"tpot", &slo.tpot_ns}, {"itl", &slo.itl_ns}, {"e2e", &slo.e2e_ns}};
  for (const absl::string_view item : absl::StrSplit(absl::string_view(text.data(), text.size()), ',', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(item, absl::MaxSplits('=', 1));
    const auto bound = bounds.find(parts.first);
    if (bound == bounds.end() || *bound->second)
      return absl::InvalidArgumentError(absl::StrCat("--slo: expected each of ttft, tpot, itl and e2e at most once, as ttft=500ms,tpot=50ms, found '", item, "'"));
    ATOLL_ASSIGN_OR_RETURN(*bound->second, ParseDurationNs(parts.second, "--slo " + parts.first));
  }
  return slo;
}

bool Slo::Within(const RequestRecord& r) const {
  return r.outcome == Outcome::kOk && (!ttft_ns || r.TtftNs() <= *ttft_ns) && (!tpot_ns || r.TpotNs() <= *tpot_ns) &&
         (!itl_ns || r.longest_gap_ns <= *itl_ns) && (!e2e_ns || r.E2eNs() <= *e2e_ns);
}

}  // namespace atoll::load
