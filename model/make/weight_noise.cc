#include "model/make/weight_noise.h"

#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <string_view>

namespace atoll::model {
namespace {

constexpr size_t kQuantiles = 1 << 16;
constexpr float kCodeMax = 448.0f;

struct Tables {
  std::array<float, kQuantiles> normal;   // standard normal, ascending
  std::array<uint8_t, kQuantiles> codes;  // the same with its largest value at 448, in e4m3
};

// Newton's method on the distribution function, each quantile started at its neighbour's.
std::unique_ptr<const Tables> MakeTables() {
  auto tables = std::make_unique<Tables>();
  double x = 0;
  for (size_t i = kQuantiles / 2; i < kQuantiles; ++i) {
    const double upper = 1.0 - (static_cast<double>(i) + 0.5) / kQuantiles;
    for (int step = 0; step < 6; ++step) {
      const double density = std::exp(-0.5 * x * x) * 0.3989422804014327;
      x += (0.5 * std::erfc(x * 0.7071067811865476) - upper) / density;
    }
    tables->normal[i] = static_cast<float>(x);
    tables->normal[kQuantiles - 1 - i] = -tables->normal[i];
  }
  const float scale = kCodeMax / tables->normal.back();
  for (size_t i = 0; i < kQuantiles; ++i) tables->codes[i] = FloatToE4M3(tables->normal[i] * scale);
  return tables;
}

const Tables& SharedTables() {
  static const std::unique_ptr<const Tables> tables = MakeTables();
  return *tables;
}

uint64_t HashName(std::string_view name, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ (seed * 0x9E3779B97F4A7C15u);
  for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return hash;
}

float DeviationOf(const TensorSpec& spec, int64_t fan_in) {
  if (spec.kind == TensorKind::kNorm) return 0.05f;
  if (spec.kind == TensorKind::kCorrectionBias) return 0.02f;
  if (spec.name == "model.embed_tokens.weight") return 1.0f;
  return 1.0f / std::sqrt(static_cast<float>(fan_in));
}

// Calls write(i, bits) for `count` elements, with 16 random bits each.
template <typename NextBits, typename Write>
void ForEach16Bits(size_t count, NextBits next_bits, Write write) {
  for (size_t i = 0; i < count; i += 4) {
    uint64_t bits = next_bits();
    for (size_t j = i; j < count && j < i + 4; ++j, bits >>= 16) write(j, bits & 0xFFFF);
  }
}

}  // namespace

WeightNoise::WeightNoise(const TensorSpec& spec, int64_t fan_in, bool power_of_two_scales, uint64_t seed)
    : kind_(spec.kind),
      dtype_(spec.dtype),
      power_of_two_scales_(power_of_two_scales),
      mean_(spec.kind == TensorKind::kNorm ? 1.0f : 0.0f),
      deviation_(DeviationOf(spec, fan_in)),
      state_(HashName(spec.name, seed)) {}

void WeightNoise::Next(std::span<std::byte> out) {
  if (kind_ == TensorKind::kScale) return FillScales(out);
  switch (dtype_) {
    case DType::kF8E4M3: return FillF8(out);
    case DType::kBF16: return FillBF16(out);
    default: return FillF32(out);
  }
}

// splitmix64: a counter and a mix, so that there is no dependence from one value to the next.
uint64_t WeightNoise::NextBits() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void WeightNoise::FillF8(std::span<std::byte> out) {
  const auto& codes = SharedTables().codes;
  ForEach16Bits(
      out.size(), [&] { return NextBits(); },
      [&](size_t i, uint64_t bits) { out[i] = static_cast<std::byte>(codes[bits]); });
}

void WeightNoise::FillBF16(std::span<std::byte> out) {
  const auto& normal = SharedTables().normal;
  ForEach16Bits(
      out.size() / 2, [&] { return NextBits(); },
      [&](size_t i, uint64_t bits) {
        const BFloat16 value = ToBFloat16(mean_ + deviation_ * normal[bits]);
        std::memcpy(out.data() + 2 * i, &value, 2);
      });
}

void WeightNoise::FillF32(std::span<std::byte> out) {
  const auto& normal = SharedTables().normal;
  ForEach16Bits(
      out.size() / 4, [&] { return NextBits(); },
      [&](size_t i, uint64_t bits) {
        const float value = mean_ + deviation_ * normal[bits];
        std::memcpy(out.data() + 4 * i, &value, 4);
      });
}

// A block's spread differs from the next one's, so that a scale applied to the wrong block shows.
void WeightNoise::FillScales(std::span<std::byte> out) {
  const float base = deviation_ * SharedTables().normal.back() / kCodeMax;
  const float power = std::exp2(std::ceil(std::log2(base)));
  ForEach16Bits(
      out.size() / 4, [&] { return NextBits(); },
      [&](size_t i, uint64_t bits) {
        const float varied = base * (0.75f + 0.5f * static_cast<float>(bits) / 65536.0f);
        const float scale = power_of_two_scales_ ? power * ((bits & 1) != 0 ? 1.0f : 0.5f) : varied;
        std::memcpy(out.data() + 4 * i, &scale, 4);
      });
}

}  // namespace atoll::model
