#include "kernels/check/array.h"

#include <algorithm>

namespace atoll::kernels::check {

KernelError Array::Make(Device* device, int64_t bytes, Array* array) {
  array->host_.assign(static_cast<size_t>(bytes), std::byte{0xFF});
  return device == nullptr ? KernelError{} : device->Allocate(bytes, &array->device_);
}

// Drawn with the sum of four uniform numbers: ten times as fast as std::normal_distribution, and the shape is all that matters here.
void Array::FillNormal(std::mt19937& random, DType dtype, float scale) {
  const auto draw = [&] {
    const uint32_t a = random(), b = random();
    const auto sum = static_cast<int32_t>((a & 0xFFFF) + (a >> 16) + (b & 0xFFFF) + (b >> 16)) - 2 * 0xFFFF;
    return static_cast<float>(sum) * (scale * 1.7320508f / 0xFFFF);
  };
  switch (dtype) {
    case DType::kF32: for (float& x : Span<float>(Place::kHost)) x = draw(); break;
    case DType::kBF16: for (BFloat16& x : Span<BFloat16>(Place::kHost)) x = ToBFloat16(draw()); break;
    case DType::kF8E4M3: for (uint8_t& x : Span<uint8_t>(Place::kHost)) x = FloatToE4M3(draw()); break;
    default: Poison();
  }
}

}  // namespace atoll::kernels::check
