#pragma once

// Which form of latent attention a row takes on the CPU: a constant per position class (promise P1), never a choice of the step.

#include <cstdint>

namespace atoll::kernels {

// Whether a position lay below the prompt's length at first admission; kept for the sequence's life.
enum class PositionClass : uint8_t { kPrompt = 0, kGenerated = 1 };

enum class MlaForm : uint8_t {
  kPrefill = 0,   // keys and values expanded from the pages per head (mla_prefill.h)
  kDecode = 1,    // queries absorbed into the latent space (mla_decode.h)
};

constexpr MlaForm MlaFormOf(PositionClass position_class) {
  return position_class == PositionClass::kPrompt ? MlaForm::kPrefill : MlaForm::kDecode;
}

}  // namespace atoll::kernels
