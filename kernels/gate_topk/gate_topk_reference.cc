#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/math/lanes_scalar.h"
// After the lanes that it is written over.
#include "kernels/gate_topk/gate_topk_rows.h"
#include "kernels/math/float_functions.h"

namespace atoll::kernels {

namespace {

// The index of the largest value that is not taken; among equals the lowest.
int64_t BestOf(const std::vector<float>& values, const std::vector<bool>& taken) {
  int64_t best = -1;
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    if (!taken[i] && (best < 0 || values[i] > values[best])) best = i;
  }
  return best;
}

// The sum of the two largest biased scores of each group (of its only one).
std::vector<float> GroupScores(const std::vector<float>& biased, int64_t groups) {
  const int64_t size = static_cast<int64_t>(biased.size()) / groups;
  std::vector<float> scores;
  for (int64_t group = 0; group < groups; ++group) {
    const std::vector<float> members(biased.begin() + group * size, biased.begin() + (group + 1) * size);
    std::vector<bool> taken(size, false);
    const int64_t first = BestOf(members, taken);
    taken[first] = true;
    const int64_t second = BestOf(members, taken);
    scores.push_back(second < 0 ? members[first] : members[first] + members[second]);
  }
  return scores;
}

void MaskAllButTheBestGroups(const GateParams& params, std::vector<float>& biased) {
  const std::vector<float> scores = GroupScores(biased, params.groups);
  std::vector<bool> kept(params.groups, false);
  for (int64_t i = 0; i < params.groups_kept; ++i) kept[BestOf(scores, kept)] = true;
  const int64_t size = static_cast<int64_t>(biased.size()) / params.groups;
  for (int64_t e = 0; e < static_cast<int64_t>(biased.size()); ++e) {
    if (!kept[e / size]) biased[e] = -std::numeric_limits<float>::infinity();
  }
}

}  // namespace

bool GateRowReference(const GateParams& params, const GateRow& row) {
  std::vector<float> scores(row.count);
  std::vector<float> biased(row.count);
  for (int64_t e = 0; e < row.count; ++e) {
    if (!std::isfinite(row.logits[e])) return false;
    scores[e] = 1.0f / (1.0f + Exp(0.0f - row.logits[e]));
    biased[e] = scores[e] + row.bias[e];
  }
  MaskAllButTheBestGroups(params, biased);
  for (int64_t e = 0; row.delta != nullptr && e < row.count; ++e) biased[e] += row.delta[e];
  std::vector<bool> taken(row.count, false);
  for (int64_t slot = 0; slot < params.experts_per_token; ++slot) {
    const int64_t best = BestOf(biased, taken);
    taken[best] = true;
    row.experts[slot] = static_cast<int32_t>(best);
  }
  GateWeights(params, scores.data(), row);
  if (row.scores != nullptr) std::copy_n(scores.begin(), row.count, row.scores);
  if (row.biased != nullptr) std::copy_n(biased.begin(), row.count, row.biased);
  return true;
}

}  // namespace atoll::kernels
