#pragma once

// SamplerRows over sixteen lanes; the lanes header comes before.

#include "kernels/math/lanes_io.h"
#include "kernels/sampling/philox.h"
#include "kernels/sampling/sampler_rows.h"

namespace atoll::kernels {
namespace {

inline void ScaleLanes(float* x, int64_t count, float temperature, float max) {
  for (int64_t i = 0; i < count; i += 16) {
    StoreElements(false, x, i, Sub(Div(LoadElements(false, x, i, count - i), Splat(temperature)), Splat(max)), count - i);
  }
}

inline void DropBelowLanes(float* d, int64_t count, float cut) {
  const F none = Splat(-__builtin_inff());
  for (int64_t i = 0; i < count; i += 16) {
    const F v = LoadElements(false, d, i, count - i);
    StoreElements(false, d, i, Select(Less(v, Splat(cut)), none, v), count - i);
  }
}

inline void ExpsLanes(const float* d, int64_t count, float* e) {
  for (int64_t i = 0; i < count; i += 16) StoreElements(false, e, i, Exp(LoadElements(false, d, i, count - i)), count - i);
}

inline int64_t GatherLanes(const float* d, int64_t count, float cut, int32_t* ids) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i += 16) {
    const uint32_t present = count - i >= 16 ? 0xFFFFu : (1u << (count - i)) - 1u;
    uint32_t kept = ~MaskBits(Less(LoadElements(false, d, i, count - i), Splat(cut))) & present;
    for (; kept != 0; kept &= kept - 1) ids[found++] = static_cast<int32_t>(i) + __builtin_ctz(kept);
  }
  return found;
}

// The largest score of each lane so far and its id. Ids arrive in ascending order, so the first of equals stays.
struct LaneWinners {
  F score;
  I id;
};

inline F NoiseOfWord(const NoiseKey& key, int32_t block, int word) { return GumbelNoise(Philox(key, AddInt(SplatInt(block), LaneNumbers())).word[word]); }

// Ids first .. first + 63 against the winners.
inline void OfferSixtyFour(const float* d, int64_t first, int64_t count, const NoiseKey& key, LaneWinners* winners) {
  const PhiloxWords words = Philox(key, AddInt(SplatInt(static_cast<int32_t>(first / 64 * 16)), LaneNumbers()));
  for (int word = 0; word < 4; ++word) {
    const int64_t at = first + 16 * word;
    if (at >= count) return;
    const F score = Add(LoadFirstOr(d + at, count - at, -__builtin_inff()), GumbelNoise(words.word[word]));
    const M better = Less(winners->score, score);
    winners->score = Select(better, score, winners->score);
    winners->id = Bits(Select(better, FromBits(AddInt(SplatInt(static_cast<int32_t>(at)), LaneNumbers())), FromBits(winners->id)));
  }
}

inline bool CanWin(const float* d, int64_t first, int64_t count, F floor) {
  F largest = Splat(-__builtin_inff());
  for (int64_t at = first; at < first + 64 && at < count; at += 16) largest = Max(LoadFirstOr(d + at, count - at, -__builtin_inff()), largest);
  return MaskBits(Less(Add(largest, Splat(kNoiseMax)), floor)) != 0xFFFF;
}

inline int32_t GumbelMaxLanes(const float* d, int64_t count, const NoiseKey& key, int32_t best) {
  // The likeliest token's score is a floor: whoever cannot reach it even with the largest noise needs none.
  alignas(64) float noise[16];
  Store(noise, NoiseOfWord(key, best / 64 * 16, best / 16 % 4));
  const F floor = Splat(d[best] + noise[best % 16]);
  LaneWinners winners = {Splat(-__builtin_inff()), SplatInt(0)};
  for (int64_t first = 0; first < count; first += 64) {
    if (CanWin(d, first, count, floor)) OfferSixtyFour(d, first, count, key, &winners);
  }
  alignas(64) float scores[16];
  alignas(64) float ids[16];
  Store(scores, winners.score);
  Store(ids, FromBits(winners.id));
  int32_t winner = -1;
  float score = -__builtin_inff();
  for (int lane = 0; lane < 16; ++lane) {
    int32_t id;
    __builtin_memcpy(&id, ids + lane, 4);
    const bool first_of_equals = scores[lane] == score && id < winner;
    if (scores[lane] > score || first_of_equals) {
      score = scores[lane];
      winner = id;
    }
  }
  return winner;
}

}  // namespace
}  // namespace atoll::kernels
