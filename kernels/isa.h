#pragma once

// Instruction sets of the CPU kernels. All give the same bits; they differ in speed only.

#include <cstdint>
#include <string_view>

#include "kernels/kernel_error.h"

namespace atoll::kernels {

enum class Isa : uint8_t {
  kReference = 0,    // scalar loops: the specification
  kAvx2 = 1,         // AVX2, FMA, F16C
  kAvx512 = 2,       // AVX-512 F, BW, DQ, VL
  kAvx512Bf16 = 3,   // the above with VBMI and BF16
};

// The best that this host has. Thread-safe.
Isa DetectIsa();
bool HostSupports(Isa isa);
// AVX-512 VBMI, which a kAvx512 kernel may use where the host has it.
bool HostHasVbmi();

// "reference", "avx2", "avx512", "avx512bf16".
const char* IsaName(Isa isa);

// Reads the value of --isa: a name of IsaName, or "auto" for DetectIsa(). An unknown name and an instruction set that this
// host lacks are errors; `isa` is then untouched.
KernelError ParseIsa(std::string_view name, Isa* isa);

}  // namespace atoll::kernels
