#include "kernels/linear/device_weights.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <string>

#include "kernels/linear/pack_source.h"

namespace atoll::kernels {

namespace {

constexpr int64_t kRowAlignment = 16;      // bytes
constexpr int64_t kTableAlignment = 256;
constexpr int kInputsMin = 4;              // a lane's inputs lie under one scale

int64_t RoundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }
int64_t TableSize(int64_t extent, int32_t shift) { return (extent + (int64_t{1} << shift) - 1) >> shift; }
int64_t FirstOutput(const PackSource& source) { return source.transposed ? source.col0 : source.row0; }
int64_t FirstInput(const PackSource& source) { return source.transposed ? source.row0 : source.col0; }

// The largest power of two, up to a scale block, that divides `first`.
int32_t ShiftOf(int64_t first) { return std::countr_zero(static_cast<uint64_t>(first) | static_cast<uint64_t>(kScaleBlock)); }

KernelError ExpectSameShape(const PackSource& first, const PackSource& head) {
  if (head.dtype == first.dtype && head.rows == first.rows && head.cols == first.cols && head.transposed == first.transposed) return {};
  return InvalidShape("the weights of all heads must have one shape and type, found " + std::to_string(head.rows) + " x " +
                      std::to_string(head.cols) + " beside " + std::to_string(first.rows) + " x " + std::to_string(first.cols));
}

KernelError DescribeScales(std::span<const PackSource> heads, DeviceWeights* weights) {
  weights->output_shift = weights->input_shift = ShiftOf(0);
  for (const PackSource& head : heads) {
    weights->output_shift = std::min(weights->output_shift, ShiftOf(FirstOutput(head)));
    weights->input_shift = std::min(weights->input_shift, ShiftOf(FirstInput(head)));
  }
  if (weights->heads > 1) weights->output_shift = std::min(weights->output_shift, ShiftOf(weights->outputs));   // no scale spans two heads
  if ((1 << weights->input_shift) < kInputsMin) {
    return Unsupported("an fp8 weight's part begins at input " + std::to_string(FirstInput(heads[0])) +
                       " of its matrix, expected multiples of " + std::to_string(kInputsMin) + " on a device");
  }
  weights->scale_stride = TableSize(weights->inputs, weights->input_shift);
  return {};
}

template <typename Element>
void CopyOutput(const PackSource& source, const DeviceWeights& weights, int64_t output, std::byte* to) {
  const int64_t step = (source.transposed ? source.row_stride : 1) * int64_t{sizeof(Element)};
  const std::byte* from = SourceElement(source, output, 0);
  for (int64_t i = 0; i < weights.inputs; ++i) std::memcpy(to + i * int64_t{sizeof(Element)}, from + i * step, sizeof(Element));
}

// The input of a NaN code, or -1.
int64_t FindNan(const std::byte* codes, int64_t count) {
  const auto* const end = codes + count;
  const auto* const found = std::find_if(codes, end, [](std::byte code) { return (code & std::byte{0x7F}) == std::byte{0x7F}; });
  return found == end ? -1 : found - codes;
}

int64_t FillOutput(const PackSource& source, const DeviceWeights& weights, int64_t output, std::byte* to) {
  std::memset(to, 0, weights.stride * DTypeBytes(weights.dtype));
  switch (DTypeBytes(weights.dtype)) {
    case 1: CopyOutput<uint8_t>(source, weights, output, to); return FindNan(to, weights.inputs);
    case 2: CopyOutput<uint16_t>(source, weights, output, to); return -1;
    default: CopyOutput<uint32_t>(source, weights, output, to); return -1;
  }
}

void FillScales(const PackSource& source, const DeviceWeights& weights, int64_t head, std::byte* table) {
  float* to = reinterpret_cast<float*>(table) + (head * weights.outputs >> weights.output_shift) * weights.scale_stride;
  for (int64_t output = 0; output < weights.outputs; output += int64_t{1} << weights.output_shift) {
    for (int64_t input = 0; input < weights.inputs; input += int64_t{1} << weights.input_shift) *to++ = SourceScale(source, output, input);
  }
}

}  // namespace

DeviceWeights HeadsOf(const DeviceWeights& matrix, int64_t heads, int64_t first, int64_t count) {
  DeviceWeights view = matrix;
  view.heads = heads;
  view.head_rows = matrix.rows / heads;
  view.first_row = first;
  view.outputs = count;
  return view;
}

KernelError DescribeDeviceWeights(std::span<const PackSource> heads, DeviceWeights* weights) {
  if (heads.empty()) return InvalidShape("weights of no head at all");
  for (const PackSource& head : heads) {
    ATOLL_RETURN_IF_KERNEL_ERROR(CheckPackSource(head));
    ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSameShape(heads[0], head));
  }
  const PackSource& first = heads[0];
  *weights = {.dtype = first.dtype, .outputs = first.transposed ? first.cols : first.rows, .inputs = first.transposed ? first.rows : first.cols,
              .heads = static_cast<int64_t>(heads.size())};
  weights->head_rows = weights->outputs;
  weights->rows = weights->heads * weights->outputs;
  if (weights->outputs == 0 || weights->inputs == 0) return InvalidShape("an empty weight has no place on a device");
  weights->stride = RoundUp(weights->inputs, kRowAlignment / DTypeBytes(first.dtype));
  weights->scale_offset = RoundUp(weights->rows * weights->stride * DTypeBytes(first.dtype), kTableAlignment);
  return first.dtype == DType::kF8E4M3 ? DescribeScales(heads, weights) : KernelError{};
}

KernelError FillDeviceWeights(const Context& context, std::span<const PackSource> heads, const DeviceWeights& weights, std::span<std::byte> to) {
  DeviceWeights described;
  ATOLL_RETURN_IF_KERNEL_ERROR(DescribeDeviceWeights(heads, &described));
  if (described.Bytes() != weights.Bytes() || static_cast<int64_t>(to.size()) < weights.Bytes()) {
    return InvalidShape("these weights take " + std::to_string(described.Bytes()) + " bytes on a device, found room for " + std::to_string(to.size()));
  }
  std::atomic<int64_t> nan_at{-1};
  ParallelFor(context, weights.rows, [&](int64_t i, int) {
    const int64_t head = i / weights.outputs, output = i % weights.outputs;
    const int64_t nan = FillOutput(heads[head], weights, output, to.data() + i * weights.stride * DTypeBytes(weights.dtype));
    if (nan >= 0) nan_at.store(i * weights.inputs + nan, std::memory_order_relaxed);
  });
  if (const int64_t at = nan_at.load(); at >= 0) {
    const int64_t output = at / weights.inputs;
    return NanWeight(heads[output / weights.outputs], output % weights.outputs, at % weights.inputs);
  }
  if (weights.dtype != DType::kF8E4M3) return {};
  for (int64_t head = 0; head < weights.heads; ++head) FillScales(heads[head], weights, head, to.data() + weights.scale_offset);
  return {};
}

}  // namespace atoll::kernels
