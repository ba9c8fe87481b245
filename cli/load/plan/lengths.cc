#include "cli/load/plan/lengths.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

namespace atoll::load {
namespace {

// One or two numbers apart by `separator`, nothing else.
std::optional<std::pair<double, double>> Numbers(std::string_view text, char separator, bool two) {
  const char* const end = text.data() + text.size();
  std::pair<double, double> values;
  auto read = std::from_chars(text.data(), end, values.first);
  if (read.ec != std::errc()) return std::nullopt;
  if (two) {
    if (read.ptr == end || *read.ptr != separator) return std::nullopt;
    read = std::from_chars(read.ptr + 1, end, values.second);
  }
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return values;
}

std::optional<std::string_view> After(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

}  // namespace

bool LengthLaw::Valid() const {
  if (!(a_ >= 1 && a_ <= kMax)) return false;
  switch (kind_) {
    case Kind::kUniform: return b_ >= a_ && b_ <= kMax && a_ == std::floor(a_) && b_ == std::floor(b_);
    case Kind::kNormal: return b_ >= 0 && b_ <= kMax;
    case Kind::kLognormal: return b_ >= 0 && b_ <= 4;
    case Kind::kExponential: return true;
  }
  return false;
}

absl::StatusOr<LengthLaw> LengthLaw::Parse(std::string_view text, std::string_view where) {
  std::optional<LengthLaw> law;
  const auto take = [&](Kind kind, const std::optional<std::pair<double, double>>& numbers) {
    if (numbers) law = LengthLaw(kind, numbers->first, numbers->second);
  };
  if (const auto rest = After(text, "normal:")) take(Kind::kNormal, Numbers(*rest, ',', true));
  else if (const auto rest = After(text, "lognormal:")) take(Kind::kLognormal, Numbers(*rest, ',', true));
  else if (const auto rest = After(text, "exponential:")) take(Kind::kExponential, Numbers(*rest, ',', false));
  else if (const auto one = Numbers(text, '-', false)) law = LengthLaw(Kind::kUniform, one->first, one->first);
  else take(Kind::kUniform, Numbers(text, '-', true));
  if (law && law->Valid()) return *law;
  return absl::InvalidArgumentError(absl::StrCat(
      std::string(where), ": expected tokens in [1, ", kMax, "] as N, LOWEST-HIGHEST, normal:MEAN,DEVIATION, lognormal:MEDIAN,SIGMA (at most 4) or "
      "exponential:MEAN, found '", std::string(text.substr(0, 60)), "'"));
}

int64_t LengthLaw::Draw(Random& random) const {
  double value = a_;
  switch (kind_) {
    case Kind::kUniform: value += static_cast<double>(random.Below(static_cast<uint64_t>(b_ - a_) + 1)); break;
    case Kind::kNormal: value += b_ * random.Normal(); break;
    case Kind::kLognormal: value *= std::exp(b_ * random.Normal()); break;
    case Kind::kExponential: value *= random.Exponential(); break;
  }
  return std::llround(std::clamp(value, 1.0, static_cast<double>(kMax)));
}

}  // namespace atoll::load
