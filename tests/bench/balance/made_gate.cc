#include "tests/bench/balance/made_gate.h"

#include <cmath>

#include "base/check.h"
#include "kernels/gate_topk/gate_topk.h"

namespace atoll::bench {

MadeGate::MadeGate(const GateShape& shape, int tokens, uint64_t seed)
    : shape_(shape), tokens_(tokens), logits_(tokens * kExperts), scores_(tokens * kExperts), biased_(tokens * kExperts),
      experts_(tokens * kChosen) {
  router::SeededRandom random(seed);
  for (int e = 0; e < kExperts; ++e) popularity_.push_back(static_cast<float>(shape.popularity * random.Gaussian()));
  for (int i = 0; i < kExperts * kLatents; ++i) latents_.push_back(static_cast<float>(shape.topic * random.Gaussian() / std::sqrt(kLatents)));
  for (int e = 0; e < kExperts; ++e) bias_.push_back(static_cast<float>(shape.bias_spread * random.Gaussian()));
}

void MadeGate::Draw(router::SeededRandom& random) {
  std::vector<float> topics(kTopics * kExperts);
  for (int t = 0; t < kTopics; ++t) {
    float topic[kLatents];
    for (float& x : topic) x = static_cast<float>(random.Gaussian());
    for (int e = 0; e < kExperts; ++e) {
      float sum = popularity_[e] + static_cast<float>(shape_.offset);
      for (int i = 0; i < kLatents; ++i) sum += latents_[e * kLatents + i] * topic[i];
      topics[t * kExperts + e] = sum;
    }
  }
  for (int64_t token = 0; token < tokens_; ++token) {
    const float* topic = topics.data() + random.Below(kTopics) * kExperts;
    for (int e = 0; e < kExperts; ++e) logits_[token * kExperts + e] = topic[e] + static_cast<float>(shape_.noise * random.Gaussian());
  }
  Choose({});
}

void MadeGate::Choose(std::span<const float> delta) {
  std::vector<float> weights(tokens_ * kChosen);
  std::vector<uint8_t> non_finite(tokens_);
  const auto out = [&](std::vector<float>& values) { return MatrixView{values.data(), DType::kF32, tokens_, kExperts, kExperts}; };
  kernels::GateTopKArgs args{.logits = View(logits_), .bias = bias_, .delta = delta,
                             .params = {.groups = 8, .groups_kept = 4, .experts_per_token = kChosen},
                             .experts = experts_, .weights = weights, .non_finite = non_finite};
  if (delta.empty()) args.scores = out(scores_), args.biased = out(biased_);
  const kernels::KernelError error = kernels::GateTopK({kernels::DetectIsa(), nullptr}, args);
  ATOLL_CHECK(error.ok(), error.text);
}

std::vector<double> MadeGate::Counts() const {
  std::vector<double> counts(kExperts, 0);
  for (const int32_t e : experts_) counts[e] += 1;
  return counts;
}

}  // namespace atoll::bench
