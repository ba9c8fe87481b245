#pragma once

#include <xmmintrin.h>

namespace atoll::kernels {

// While alive, this thread reads denormal operands as zero (DAZ) and writes denormal results as zero (FTZ): what vdpbf16ps
// always does, and therefore what every kernel does (promise P1). The earlier mode comes back at the end.
class FlushDenormals {
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kDazFtz); }
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kDazFtz = 0x8040;
  const unsigned before_;
};

}  // namespace atoll::kernels
