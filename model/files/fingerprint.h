#pragma once

// A running 64-bit hash (FNV-1a) of what makes two checkpoints the same model. Stable over versions and hosts.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "model/config.h"
#include "model/tensor_catalogue.h"

namespace atoll::model {

class Fingerprint {
 public:
  static constexpr size_t kSampleBytes = 32;

  // Every tensor of a small model, one in 16 of a large one: a 671B checkpoint has 92,000 tensors and a node's start
  // should not wait for as many random reads.
  static bool IsSampled(std::string_view tensor_name, int64_t tensors);

  void AddConfig(const ModelConfig& config);
  void AddTensor(const TensorSpec& spec, DType dtype);
  void AddBytes(std::span<const std::byte> bytes);
  uint64_t value() const { return value_; }

 private:
  void AddInt(int64_t value);
  void AddDouble(double value);
  void AddText(std::string_view text);

  uint64_t value_ = 0xcbf29ce484222325u;
};

}  // namespace atoll::model
