#pragma once

#include "../../linear_case.h"
#include "device_rig.h"
#include "kernels/linear/device_weights.h"

namespace atoll::kernels::testing {

inline DeviceWeights UploadWeights(DeviceRig& rig, std::span<const PackSource> heads) {
  DeviceWeights weights;
  ATOLL_EXPECT_OK(DescribeDeviceWeights(heads, &weights));
  std::vector<std::byte> image(weights.Bytes(), std::byte{0xFF});
  ATOLL_EXPECT_OK(FillDeviceWeights({}, heads, weights, image));
  weights.data = DevicePtr<const std::byte>(rig.Upload(image).data());
  return weights;
}

// Room for |found - expected| of one product: another order of its sum, and one rounding where it is bfloat16.
inline float ProductTolerance(double sum_of_sizes, float expected, DType dtype) {
  return static_cast<float>(2e-6 * sum_of_sizes) + (dtype == DType::kBF16 ? std::abs(expected) / 128 : 0.0f);
}

}  // namespace atoll::kernels::testing
