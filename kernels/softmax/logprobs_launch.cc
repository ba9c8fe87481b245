#include "kernels/cuda/reach.h"
#include "kernels/expect.h"
#include "kernels/softmax/logprobs_cuda.h"

namespace atoll::kernels {

KernelError LogNormalizers(DeviceStream& stream, ConstMatrixView logits, std::span<LogNormalizer> out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("LogNormalizers' logits", logits, Dtypes::kF32, logits.rows, logits.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(logits.cols >= 1, "LogNormalizers: the vocabulary is empty"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("LogNormalizers' out", out.size(), logits.rows));
  if (logits.rows == 0) return {};
  LogprobParams params = {.vocabulary = logits.cols};
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "LogNormalizers' logits", logits, &params.logits));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "LogNormalizers' out", out, &params.normalizers));
  return stream.Launch(kLogNormalizerRows, {.grid = {static_cast<uint32_t>(logits.rows)}, .block = {kLogNormalizerRows.threads_max}}, params);
}

KernelError TopLogprobs(DeviceStream& stream, ConstMatrixView logits, std::span<const LogNormalizer> normalizers, int64_t tokens_per_row,
                        std::span<TokenLogprob> out) {
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("TopLogprobs' logits", logits, Dtypes::kF32, logits.rows, logits.cols));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("TopLogprobs' normalizers", normalizers.size(), logits.rows));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("TopLogprobs' out", out.size(), logits.rows * tokens_per_row));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(tokens_per_row >= 0 && tokens_per_row <= logits.cols && tokens_per_row <= kTopLogprobsMax,
                                          "TopLogprobs: more tokens wanted than the vocabulary has, or than 64"));
  if (logits.rows == 0 || tokens_per_row == 0) return {};
  LogprobParams params = {.vocabulary = logits.cols, .tokens_per_row = tokens_per_row};
  DevicePtr<const LogNormalizer> read;
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachMatrix(stream, "TopLogprobs' logits", logits, &params.logits));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "TopLogprobs' normalizers", normalizers, &read));
  ATOLL_RETURN_IF_KERNEL_ERROR(ReachSpan(stream, "TopLogprobs' out", out, &params.tokens));
  params.normalizers = DevicePtr(const_cast<LogNormalizer*>(read.address()));
  return stream.Launch(kTopLogprobRows, {.grid = {static_cast<uint32_t>(logits.rows)}, .block = {kTopLogprobRows.threads_max}}, params);
}

}  // namespace atoll::kernels
