#include "kernels/sampling/sampling_params.h"

#include <cmath>
#include <string>

namespace atoll::kernels {

namespace {

KernelError Expect(bool holds, const char* name, double value, const char* range) {
  if (holds) return {};
  return InvalidValue(std::string(name) + " is " + std::to_string(value) + ", expected " + range);
}

}  // namespace

KernelError CheckSamplingParams(const SamplingParams& params, int64_t vocabulary) {
  const auto finite = [](float value) { return std::isfinite(value); };
  ATOLL_RETURN_IF_KERNEL_ERROR(Expect(finite(params.temperature) && params.temperature >= 0, "temperature", params.temperature, "a finite number, at least 0"));
  ATOLL_RETURN_IF_KERNEL_ERROR(Expect(params.top_k >= 0, "top_k", params.top_k, "at least 0 (0: off)"));
  ATOLL_RETURN_IF_KERNEL_ERROR(Expect(params.top_p > 0 && params.top_p <= 1, "top_p", params.top_p, "above 0, at most 1"));
  ATOLL_RETURN_IF_KERNEL_ERROR(Expect(params.min_p >= 0 && params.min_p <= 1, "min_p", params.min_p, "0 to 1"));
  ATOLL_RETURN_IF_KERNEL_ERROR(Expect(finite(params.presence_penalty), "presence_penalty", params.presence_penalty, "a finite number"));
  ATOLL_RETURN_IF_KERNEL_ERROR(Expect(finite(params.frequency_penalty), "frequency_penalty", params.frequency_penalty, "a finite number"));
  ATOLL_RETURN_IF_KERNEL_ERROR(Expect(finite(params.repetition_penalty) && params.repetition_penalty > 0, "repetition_penalty",
                                      params.repetition_penalty, "a finite number above 0"));
  for (const LogitBias& bias : params.logit_bias) {
    ATOLL_RETURN_IF_KERNEL_ERROR(Expect(finite(bias.bias), "a logit bias", bias.bias, "a finite number"));
    if (bias.token < 0 || bias.token >= vocabulary) {
      return InvalidValue("a logit bias is for token " + std::to_string(bias.token) + ", expected 0 to " + std::to_string(vocabulary - 1));
    }
  }
  return {};
}

}  // namespace atoll::kernels
