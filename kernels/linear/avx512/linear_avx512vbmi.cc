// AVX-512 with VBMI: FMA, fp8 through byte permutes.

#include "kernels/linear/avx512/fma_panel.h"
#include "kernels/linear/avx512/vbmi_decoder.h"

namespace atoll::kernels {

void PanelAvx512Vbmi(const PanelRun& run) {
  if (run.x_dtype == DType::kBF16) return FmaPanelOf<ByteDecoder, Bf16Rows>(run);
  FmaPanelOf<ByteDecoder, F32Rows>(run);
}

}  // namespace atoll::kernels
