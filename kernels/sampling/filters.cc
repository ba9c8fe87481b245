#include "kernels/sampling/filters.h"

#include <algorithm>
#include <limits>

#include "kernels/math/lanes_scalar.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"

namespace atoll::kernels {

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// Larger first, then the lower id.
struct Order {
  const float* d;
  bool operator()(int32_t a, int32_t b) const { return d[a] > d[b] || (d[a] == d[b] && a < b); }
};

uint64_t Mass(const FilterSpace& space, int32_t id) { return static_cast<uint64_t>(space.exps[id] * 0x1p32f); }

// Moves the k first of the row, in Order but not sorted, to the front of ids; returns how many there are.
int64_t SelectTopK(const SamplerRows& rows, int64_t k, std::span<const float> d, int32_t* ids) {
  const int64_t count = static_cast<int64_t>(d.size());
  int64_t found = 0;
  for (float cut : {-2.0f, -8.0f, -32.0f, std::numeric_limits<float>::lowest()}) {
    found = rows.gather(d.data(), count, cut, ids);
    if (found >= k) break;
  }
  if (found <= k) return found;
  std::nth_element(ids, ids + k, ids + found, Order{d.data()});
  return k;
}

// The tokens of ids[0, count) before which, in Order, there is less mass than `limit`, to the front; returns how many. Sums of
// whole numbers do not depend on their order, so halving finds the border without sorting everything.
int64_t SelectTopP(uint64_t limit, const float* d, const FilterSpace& space, int64_t count) {
  constexpr int64_t kSorted = 32;
  int64_t first = 0;
  uint64_t before = 0;
  while (count - first > kSorted) {
    const int64_t middle = first + (count - first) / 2;
    std::nth_element(space.ids + first, space.ids + middle, space.ids + count, Order{d});
    uint64_t half = 0;
    for (int64_t i = first; i < middle; ++i) half += Mass(space, space.ids[i]);
    if (before + half >= limit) {
      count = middle;
    } else {
      before += half;
      first = middle;
    }
  }
  std::sort(space.ids + first, space.ids + count, Order{d});
  for (; first < count && before < limit; ++first) before += Mass(space, space.ids[first]);
  return first;
}

int64_t KeepTopP(float top_p, const float* d, const FilterSpace& space, int64_t count) {
  uint64_t total = 0;
  for (int64_t i = 0; i < count; ++i) total += Mass(space, space.ids[i]);
  const auto limit = static_cast<uint64_t>(static_cast<double>(top_p) * static_cast<double>(total));
  return SelectTopP(std::max<uint64_t>(limit, 1), d, space, count);
}

void KeepAllowed(std::span<const uint64_t> allowed, std::span<float> logits) {
  for (size_t first = 0; first < logits.size(); first += 64) {
    const uint64_t bits = first / 64 < allowed.size() ? allowed[first / 64] : 0;
    const size_t count = std::min<size_t>(64, logits.size() - first);
    if (bits == 0) std::fill_n(logits.begin() + static_cast<int64_t>(first), count, kNever);
    if (bits == 0 || bits == ~uint64_t{0}) continue;
    for (size_t i = 0; i < count; ++i) {
      if ((bits >> i & 1) == 0) logits[first + i] = kNever;
    }
  }
}

void KeepOnly(std::span<float> d, const FilterSpace& space, int64_t count) {
  for (int64_t i = 0; i < count; ++i) space.exps[i] = d[space.ids[i]];
  std::fill(d.begin(), d.end(), kNever);
  for (int64_t i = 0; i < count; ++i) d[space.ids[i]] = space.exps[i];
}

}  // namespace

void AdjustLogits(const SamplingRow& row, std::span<float> logits) {
  const SamplingParams& params = *row.params;
  for (const LogitBias& bias : params.logit_bias) logits[bias.token] += bias.bias;
  for (int32_t id : row.masked_ids) logits[id] = kNever;
  if (!row.allowed.empty()) KeepAllowed(row.allowed, logits);
  if (row.state == nullptr || !params.HasPenalties()) return;
  for (const RowState::Entry& seen : row.state->entries()) {
    float& x = logits[seen.token];
    x = x > 0 ? x / params.repetition_penalty : x * params.repetition_penalty;
    if (seen.generated == 0) continue;
    x -= params.frequency_penalty * static_cast<float>(seen.generated);
    x -= params.presence_penalty;
  }
}

void FilterTokens(const SamplerRows& rows, const SamplingParams& params, std::span<float> d, const FilterSpace& space) {
  const int64_t vocabulary = static_cast<int64_t>(d.size());
  if (params.min_p > 0) rows.drop_below(d.data(), vocabulary, Log(params.min_p));
  const bool top_k = params.top_k > 0 && params.top_k < vocabulary;
  const bool top_p = params.top_p < 1;
  if (!top_k && !top_p) return;
  // Without top-k, ids whose mass is nothing (below 2^-32 of the largest) cannot be among those that top-p keeps.
  int64_t kept = top_k ? SelectTopK(rows, params.top_k, d, space.ids) : rows.gather(d.data(), vocabulary, -22.25f, space.ids);
  if (top_p) {
    rows.exps(d.data(), vocabulary, space.exps);
    kept = KeepTopP(params.top_p, d.data(), space, kept);
  }
  KeepOnly(d, space, kept);
}

}  // namespace atoll::kernels
