#include "kernels/isa.h"

#include <array>

namespace atoll::kernels {
namespace {

constexpr std::array kIsas = {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};

// The builtins ask the operating system too, whether it saves the wide registers.
bool HasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"); }
bool HasAvx512() {
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

}  // namespace

bool HostHasVbmi() { return HasAvx512() && __builtin_cpu_supports("avx512vbmi"); }

bool HostSupports(Isa isa) {
  switch (isa) {
    case Isa::kReference: return true;
    case Isa::kAvx2: return HasAvx2();
    case Isa::kAvx512: return HasAvx512();
    case Isa::kAvx512Bf16: return HostHasVbmi() && __builtin_cpu_supports("avx512bf16");
  }
  return false;
}

Isa DetectIsa() {
  Isa best = Isa::kReference;
  for (Isa isa : kIsas) {
    if (HostSupports(isa)) best = isa;
  }
  return best;
}

const char* IsaName(Isa isa) {
  switch (isa) {
    case Isa::kReference: return "reference";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kAvx512Bf16: return "avx512bf16";
  }
  return "unknown";
}

KernelError ParseIsa(std::string_view name, Isa* isa) {
  if (name == "auto") {
    *isa = DetectIsa();
    return {};
  }
  for (Isa known : kIsas) {
    if (name != IsaName(known)) continue;
    if (!HostSupports(known)) {
      return Unsupported("instruction set " + std::string(name) + " is not there on this host, whose best is " + IsaName(DetectIsa()));
    }
    *isa = known;
    return {};
  }
  return InvalidValue("instruction set \"" + std::string(name) + "\" is unknown: use auto, reference, avx2, avx512 or avx512bf16");
}

}  // namespace atoll::kernels
