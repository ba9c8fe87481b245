#pragma once

// Random values of one tensor as a stream of bytes. Cheap: four values per 64 random bits, each a look-up in a table of
// normal quantiles. Used by one thread.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"
#include "model/tensor_catalogue.h"

namespace atoll::model {

class WeightNoise {
 public:
  // Matrices spread by 1/sqrt(fan_in), the embedding by 1, norms around 1, correction biases near 0. `fan_in`: columns
  // of the matrix; for a scale tensor, of the matrix that it scales.
  WeightNoise(const TensorSpec& spec, int64_t fan_in, bool power_of_two_scales, uint64_t seed);

  // The next bytes of the tensor, a multiple of 8 in all calls but the last.
  void Next(std::span<std::byte> out);

 private:
  uint64_t NextBits();
  void FillF8(std::span<std::byte> out);
  void FillBF16(std::span<std::byte> out);
  void FillScales(std::span<std::byte> out);
  void FillF32(std::span<std::byte> out);

  const TensorKind kind_;
  const DType dtype_;
  const bool power_of_two_scales_;
  float mean_ = 0;
  float deviation_ = 1;
  uint64_t state_ = 0;
};

}  // namespace atoll::model
