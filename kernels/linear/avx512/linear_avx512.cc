// AVX-512 without VBMI: FMA, fp8 through 16-entry byte shuffles.

#include "kernels/linear/avx512/fma_panel.h"

namespace atoll::kernels {

void PanelAvx512(const PanelRun& run) {
  if (run.x_dtype == DType::kBF16) return FmaPanelOf<NibbleDecoder, Bf16Rows>(run);
  FmaPanelOf<NibbleDecoder, F32Rows>(run);
}

}  // namespace atoll::kernels
