#include "base/dtype.h"
#include "kernels/math/lanes_scalar.h"
// After the lanes that it is written over.
#include "kernels/math/float_functions.h"
#include "kernels/rope/rope_rows.h"

namespace atoll::kernels {

namespace {

void Put(bool bf16, void* out, int64_t index, float value) {
  if (bf16) {
    static_cast<BFloat16*>(out)[index] = ToBFloat16(value);
  } else {
    static_cast<float*>(out)[index] = value;
  }
}

}  // namespace

void RotateReference(const RopeAngles& angles, const RopeRow& row) {
  for (int64_t i = 0; i < angles.pairs; ++i) {
    const float angle = row.position * angles.frequencies[i];
    float sine = 0, cosine = 0;
    SinCos(angle, &sine, &cosine);
    const float s = sine * angles.magnitude;
    const float c = cosine * angles.magnitude;
    const int64_t first = angles.interleaved ? 2 * i : i;
    const int64_t second = angles.interleaved ? 2 * i + 1 : i + angles.pairs;
    for (int64_t head = 0; head < row.heads; ++head) {
      const float a = row.x[head * row.x_stride + first];
      const float b = row.x[head * row.x_stride + second];
      Put(row.bf16, row.out, head * 2 * angles.pairs + first, std::fma(a, c, -(b * s)));
      Put(row.bf16, row.out, head * 2 * angles.pairs + second, std::fma(a, s, b * c));
    }
  }
}

void CopyReference(const CopyRow& row) {
  for (int64_t head = 0; head < row.heads; ++head) {
    for (int64_t i = 0; i < row.width; ++i) Put(row.bf16, row.out, head * row.width + i, row.x[head * row.x_stride + i]);
  }
}

}  // namespace atoll::kernels
