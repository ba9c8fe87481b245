#pragma once

#include <cstdint>

namespace atoll::kernels {

void SwiGluBf16Reference(const float* gate, const float* up, int64_t width, void* out);
void SwiGluF32Reference(const float* gate, const float* up, int64_t width, void* out);
void SwiGluBf16Avx2(const float* gate, const float* up, int64_t width, void* out);
void SwiGluF32Avx2(const float* gate, const float* up, int64_t width, void* out);
void SwiGluBf16Avx512(const float* gate, const float* up, int64_t width, void* out);
void SwiGluF32Avx512(const float* gate, const float* up, int64_t width, void* out);

}  // namespace atoll::kernels
