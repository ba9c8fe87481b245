#include <cmath>

#include "base/dtype.h"
#include "kernels/combine/combine_rows.h"

namespace atoll::kernels {

bool CombineReference(const CombineRow& row) {
  bool finite = true;
  for (int64_t i = 0; i < row.width; ++i) {
    float acc = 0;
    for (int64_t slot = 0; slot < row.slots; ++slot) {
      const void* expert = row.expert_rows[slot];
      const float y = row.bf16 ? ToFloat(static_cast<const BFloat16*>(expert)[i]) : static_cast<const float*>(expert)[i];
      finite = finite && std::isfinite(y);
      acc = std::fma(row.weights[slot], y, acc);
    }
    if (row.shared != nullptr) acc += row.shared[i];
    row.residual[i] += acc;
  }
  return finite;
}

}  // namespace atoll::kernels
