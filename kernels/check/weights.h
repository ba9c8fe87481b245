#pragma once

// Weights of cases: random, in both layouts, the CPU's and the device's.

#include <vector>

#include "kernels/check/op_case.h"
#include "kernels/cpu/huge_buffer.h"
#include "kernels/linear/device_weights.h"
#include "kernels/linear/packed_matrix.h"

namespace atoll::kernels::check {

// Owns the source and the CPU's copies; the device's is an array of the case. Neither copied nor moved.
class CaseWeights {
 public:
  // [outputs, inputs] of e4m3 with a scale per 128 x 128, bfloat16 or float32, so scaled that products of normal rows are near one.
  CaseWeights(CaseMaker& maker, OpCase& made, DType dtype, int64_t outputs, int64_t inputs);

  // The CPU's copy of all, made when it is first asked for.
  const PackedMatrix& packed();
  // Of some outputs; owned by this.
  PackedMatrix Pack(int64_t first_output, int64_t outputs);
  const DeviceWeights& on_device() const { return device_; }   // null data where the CPU is checked
  int64_t bytes() const { return bytes_; }

 private:
  Array source_;
  std::vector<float> scales_;
  PackSource whole_;
  std::vector<HugeBuffer> memory_;
  PackedMatrix packed_;
  DeviceWeights device_;
  int64_t bytes_ = 0;
};

}  // namespace atoll::kernels::check
