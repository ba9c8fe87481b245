#pragma once

// Lengths in tokens, fixed or drawn.

#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "cli/load/plan/random.h"

namespace atoll::load {

class LengthLaw {
 public:
  static constexpr int64_t kMax = 1 << 20;

  // "128"; "16-256" (uniform, both ends included); "normal:MEAN,DEVIATION"; "lognormal:MEDIAN,SIGMA"; "exponential:MEAN".
  static absl::StatusOr<LengthLaw> Parse(std::string_view text, std::string_view where);
  static LengthLaw Fixed(int64_t tokens) { return LengthLaw(Kind::kUniform, static_cast<double>(tokens), static_cast<double>(tokens)); }

  // Rounded to the nearest whole number of [1, kMax].
  int64_t Draw(Random& random) const;

 private:
  enum class Kind { kUniform, kNormal, kLognormal, kExponential };
  LengthLaw(Kind kind, double a, double b) : kind_(kind), a_(a), b_(b) {}
  bool Valid() const;

  Kind kind_;
  double a_, b_;
};

}  // namespace atoll::load
