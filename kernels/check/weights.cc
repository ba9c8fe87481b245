#include "kernels/check/weights.h"

#include <cmath>

#include "base/check.h"

namespace atoll::kernels::check {

CaseWeights::CaseWeights(CaseMaker& maker, OpCase& made, DType dtype, int64_t outputs, int64_t inputs) {
  const bool fp8 = dtype == DType::kF8E4M3;
  const float spread = 1.0f / std::sqrt(static_cast<float>(inputs));
  KernelError error = Array::Make(nullptr, outputs * inputs * DTypeBytes(dtype), &source_);
  source_.FillNormal(maker.random, dtype, fp8 ? 60.0f : spread);
  const int64_t scale_stride = (inputs + kScaleBlock - 1) / kScaleBlock;
  scales_.resize(static_cast<size_t>(fp8 ? (outputs + kScaleBlock - 1) / kScaleBlock * scale_stride : 0));
  for (float& scale : scales_) scale = spread / 60 * (0.5f + static_cast<float>(maker.random() % 1024) / 1024);
  whole_ = {.dtype = dtype, .data = source_.At(Place::kHost), .row_stride = inputs, .scales = fp8 ? scales_.data() : nullptr,
            .scale_stride = scale_stride, .rows = outputs, .cols = inputs};
  bytes_ = outputs * inputs * DTypeBytes(dtype) + static_cast<int64_t>(scales_.size() * sizeof(float));
  if (maker.device == nullptr) return;
  error = DescribeDeviceWeights({&whole_, 1}, &device_);
  ATOLL_CHECK(error.ok(), error.text);
  Array& copy = maker.New(made, device_.Bytes());
  error = FillDeviceWeights({}, {&whole_, 1}, device_, copy.Span<std::byte>(Place::kHost));
  ATOLL_CHECK(error.ok(), error.text);
  device_.data = DevicePtr<const std::byte>(copy.At(Place::kDevice));
}

PackedMatrix CaseWeights::Pack(int64_t first_output, int64_t outputs) {
  PackSource part = whole_;
  part.row0 = first_output;
  part.rows = outputs;
  memory_.emplace_back(static_cast<size_t>(PackedBytes(part)));
  PackedMatrix packed;
  const KernelError error = PackMatrix({}, part, memory_.back().span(), &packed);
  ATOLL_CHECK(error.ok(), error.text);
  return packed;
}

const PackedMatrix& CaseWeights::packed() {
  if (packed_.data == nullptr) packed_ = Pack(0, whole_.rows);
  return packed_;
}

}  // namespace atoll::kernels::check
