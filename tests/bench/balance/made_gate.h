#pragma once

// A made gate of 256 experts, 8 groups of which 4 are kept, 8 experts per token, for what recorded counts cannot show: which
// experts score nearly the same. logit = popularity P_e + topic U_e V_topic + noise N + offset, P, U sqrt(24) and V standard
// normal, 24 latents, 256 new topics per batch.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/matrix_view.h"
#include "router/placement/seeded_random.h"

namespace atoll::bench {

struct GateShape {
  std::string name;
  double popularity, topic, noise, offset;
  double bias_spread;  // of a trained e_score_correction_bias; 0: none
};

class MadeGate {
 public:
  static constexpr int kExperts = 256, kChosen = 8, kLatents = 24, kTopics = 256;

  MadeGate(const GateShape& shape, int tokens, uint64_t seed);

  // A new batch: then scores, selection scores (biased, -infinity outside the kept groups) and choices are its.
  void Draw(router::SeededRandom& random);
  // Chooses again with a delta on the selection scores: [experts].
  void Choose(std::span<const float> delta);

  ConstMatrixView scores() const { return View(scores_); }
  ConstMatrixView biased() const { return View(biased_); }
  std::vector<int32_t>& experts() { return experts_; }  // [tokens, chosen]
  std::vector<double> Counts() const;

 private:
  ConstMatrixView View(const std::vector<float>& values) const { return {values.data(), DType::kF32, tokens_, kExperts, kExperts}; }
  const GateShape shape_;
  const int64_t tokens_;
  std::vector<float> popularity_, latents_, bias_;   // [experts], [experts, latents], [experts]
  std::vector<float> logits_, scores_, biased_;      // [tokens, experts]
  std::vector<int32_t> experts_;
};

}  // namespace atoll::bench
