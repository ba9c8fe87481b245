#include <limits>

#include "kernels/math/lanes_scalar.h"
// After the lanes that it is written over.
#include "kernels/sampling/philox.h"
#include "kernels/sampling/sampler_rows.h"

namespace atoll::kernels {

namespace {

void ScaleRow(float* x, int64_t count, float temperature, float max) {
  for (int64_t i = 0; i < count; ++i) x[i] = x[i] / temperature - max;
}

void DropBelow(float* d, int64_t count, float cut) {
  for (int64_t i = 0; i < count; ++i) d[i] = d[i] >= cut ? d[i] : -std::numeric_limits<float>::infinity();
}

void Exps(const float* d, int64_t count, float* e) {
  for (int64_t i = 0; i < count; ++i) e[i] = Exp(d[i]);
}

int64_t Gather(const float* d, int64_t count, float cut, int32_t* ids) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (d[i] >= cut) ids[found++] = static_cast<int32_t>(i);
  }
  return found;
}

float NoiseOf(const NoiseKey& key, int64_t id) {
  const PhiloxWords words = Philox(key, static_cast<int32_t>(id / 64 * 16 + id % 16));
  return GumbelNoise(words.word[id / 16 % 4]);
}

int32_t GumbelMax(const float* d, int64_t count, const NoiseKey& key, int32_t) {
  int32_t winner = -1;
  float best = -std::numeric_limits<float>::infinity();
  for (int64_t id = 0; id < count; ++id) {
    const float score = d[id] + NoiseOf(key, id);
    if (score > best) {
      best = score;
      winner = static_cast<int32_t>(id);
    }
  }
  return winner;
}

}  // namespace

const SamplerRows kSamplerReference = {ScaleRow, DropBelow, Exps, Gather, GumbelMax};

}  // namespace atoll::kernels
