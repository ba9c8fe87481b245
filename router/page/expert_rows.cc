#include "router/page/expert_rows.h"

#include <algorithm>

#include "router/http/json/json_write.h"

namespace atoll::router::page {
namespace {

std::vector<uint64_t> BothClasses(const LayerCounts& counts) {
  std::vector<uint64_t> rows = counts.prompt;
  rows.resize(std::max(counts.prompt.size(), counts.generated.size()));
  for (size_t e = 0; e < counts.generated.size(); ++e) rows[e] += counts.generated[e];
  return rows;
}

// Sums only grow; one that is smaller began anew.
std::vector<uint64_t> Minus(const std::vector<uint64_t>& now, const std::vector<uint64_t>& before) {
  std::vector<uint64_t> difference = now;
  for (size_t e = 0; e < std::min(now.size(), before.size()); ++e) difference[e] -= std::min(now[e], before[e]);
  return difference;
}

}  // namespace

void ExpertRows::Take(const std::vector<LayerCounts>& sums) {
  new_.clear();
  for (const LayerCounts& counts : sums) {
    std::vector<uint64_t> now = BothClasses(counts);
    std::vector<uint64_t>& before = all_[counts.layer];
    std::vector<uint64_t> came = Minus(now, before);
    if (std::any_of(came.begin(), came.end(), [](uint64_t rows) { return rows > 0; })) new_[counts.layer] = std::move(came);
    before = std::move(now);
  }
}

std::string ExpertRows::JsonOf(const Rows& layers) {
  std::string out = "{\"layers\":[";
  for (const auto& [layer, rows] : layers) {
    out += out.back() == '[' ? "{\"layer\":" : ",{\"layer\":";
    http::AppendJsonInt(layer, out);
    out += ",\"rows\":";
    for (size_t e = 0; e < rows.size(); ++e) {
      out += e == 0 ? '[' : ',';
      http::AppendJsonInt(static_cast<int64_t>(rows[e]), out);
    }
    out += rows.empty() ? "[]}" : "]}";
  }
  return out += "]}";
}

std::string ExpertRows::AllJson() const { return JsonOf(all_); }

std::string ExpertRows::NewJson() const { return new_.empty() ? "" : JsonOf(new_); }

}  // namespace atoll::router::page
