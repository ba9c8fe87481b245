#pragma once

// From an op's operands, whose addresses lie in device memory, to the params of its kernels.

#include <span>
#include <string_view>

#include "base/matrix_view.h"
#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"

namespace atoll::kernels {

// `matrix`, of bfloat16 or float32, checked by ExpectMatrix before.
KernelError ReachMatrix(DeviceStream& stream, std::string_view operand, const ConstMatrixView& matrix, DeviceOperand* reached);

template <typename T>
KernelError ReachSpan(DeviceStream& stream, std::string_view operand, std::span<T> elements, DevicePtr<T>* reached) {
  if (elements.empty()) return {};
  return stream.Reach(operand, elements.data(), static_cast<int64_t>(elements.size()), reached);
}

// Of rows of float32.
inline DevicePtr<float> Floats(const DeviceOperand& operand) { return DevicePtr<float>(reinterpret_cast<float*>(operand.data.address())); }

inline uint32_t BlocksOf(int64_t items, int64_t per_block) { return static_cast<uint32_t>((items + per_block - 1) / per_block); }

}  // namespace atoll::kernels
