#include "kernels/check/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace atoll::kernels::check {
namespace {

bool IsFloat(DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16; }

float Get(const std::byte* from, DType dtype, int64_t index) {
  if (dtype == DType::kBF16) return ToFloat(reinterpret_cast<const BFloat16*>(from)[index]);
  return reinterpret_cast<const float*>(from)[index];
}

double ErrorOfOne(const Output& output, const Kept& expected) {
  const std::byte* found = output.array->At(Place::kHost);
  if (!IsFloat(output.dtype)) return std::memcmp(found, expected.data(), expected.size()) == 0 ? 0 : std::numeric_limits<double>::infinity();
  const int64_t count = output.array->bytes() / DTypeBytes(output.dtype);
  double worst = 0, squares = 0;
  int64_t numbers = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float a = Get(found, output.dtype, i), b = Get(expected.data(), output.dtype, i);
    if (std::isnan(a) && std::isnan(b)) continue;   // what neither wrote
    if (!std::isfinite(a) || !std::isfinite(b)) {
      if (a != b) return std::numeric_limits<double>::infinity();
      continue;
    }
    worst = std::max(worst, std::fabs(double{a} - b));
    squares += double{b} * b;
    ++numbers;
  }
  return worst == 0 ? 0 : worst / std::sqrt(squares / static_cast<double>(numbers));
}

}  // namespace

std::vector<Kept> Keep(const OpCase& tried) {
  std::vector<Kept> kept;
  for (const Output& output : tried.outputs) {
    const std::byte* first = output.array->At(Place::kHost);
    kept.emplace_back(first, first + output.array->bytes());
  }
  return kept;
}

double WorstError(const OpCase& tried, const std::vector<Kept>& expected) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, ErrorOfOne(tried.outputs[i], expected[i]));
  return worst;
}

bool SameFirstRows(const OpCase& tried, const std::vector<Kept>& whole, int64_t rows) {
  for (size_t i = 0; i < whole.size(); ++i) {
    const Output& output = tried.outputs[i];
    const std::byte* found = output.array->At(Place::kHost);
    const auto bytes = static_cast<size_t>(rows * output.row_elements * DTypeBytes(output.dtype));
    if (std::memcmp(found, whole[i].data(), bytes) != 0) return false;
    if (!std::all_of(found + bytes, found + output.array->bytes(), [](std::byte b) { return b == std::byte{0xFF}; })) return false;
  }
  return true;
}

}  // namespace atoll::kernels::check
