#pragma once

// What a kernel answers. kernels/ builds alone, so this is not a Status; callers above turn it into one.

#include <cstdint>
#include <string>
#include <utility>

namespace atoll::kernels {

enum class KernelErrorCode : uint8_t {
  kOk = 0,
  kInvalidShape = 1,   // shapes, strides or index values that do not fit together
  kInvalidValue = 2,   // contents that no kernel can work with, or an unknown name
  kUnsupported = 3,    // a combination of types, or an instruction set, that is not there
  kNoMemory = 4,       // of a device: the bytes needed and found
  kDeviceFailed = 5,   // a device reported an error: its work is lost, the process has to end
};

// ok(), or a code with one sentence: expected, found, where. An ok() value allocates nothing.
struct [[nodiscard]] KernelError {
  KernelErrorCode code = KernelErrorCode::kOk;
  std::string text;

  bool ok() const { return code == KernelErrorCode::kOk; }
};

inline KernelError InvalidShape(std::string text) { return {KernelErrorCode::kInvalidShape, std::move(text)}; }
inline KernelError InvalidValue(std::string text) { return {KernelErrorCode::kInvalidValue, std::move(text)}; }
inline KernelError Unsupported(std::string text) { return {KernelErrorCode::kUnsupported, std::move(text)}; }
inline KernelError NoMemory(std::string text) { return {KernelErrorCode::kNoMemory, std::move(text)}; }
inline KernelError DeviceFailed(std::string text) { return {KernelErrorCode::kDeviceFailed, std::move(text)}; }

}  // namespace atoll::kernels

#define ATOLL_RETURN_IF_KERNEL_ERROR(expression)                                 \
  do {                                                                           \
    if (auto kernel_error = (expression); !kernel_error.ok()) return kernel_error; \
  } while (false)
