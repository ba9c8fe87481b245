#include "kernels/mla/attention_core.h"

namespace atoll::kernels {

const AttentionCore& AttentionCoreOf(Isa isa) {
  switch (isa) {
    case Isa::kReference: return kAttentionReference;
    case Isa::kAvx2: return kAttentionAvx2;
    case Isa::kAvx512: return kAttentionAvx512;
    case Isa::kAvx512Bf16: return kAttentionAvx512Bf16;
  }
  return kAttentionReference;
}

}  // namespace atoll::kernels
