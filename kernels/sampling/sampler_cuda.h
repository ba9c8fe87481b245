#pragma once

// Sampling on a device: sampler.h's rule and order, so the CPU's token for the same logits. All addresses lie in device memory.

#include <vector>

#include "base/matrix_view.h"
#include "kernels/cuda/operand.h"
#include "kernels/cuda/runtime.h"
#include "kernels/sampling/sampler.h"

namespace atoll::kernels {

// A part of one of the batch's lists.
struct ListPart {
  int32_t first = 0;
  int32_t count = 0;
};

// One SamplingRow, less its logits.
struct DeviceSamplingRow {
  float temperature = 1;
  int32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
  ListPart biases = {}, masked = {}, seen = {};
  uint64_t seed = 0;
  uint32_t sequence_index = 0;
  uint32_t position = 0;
};

// Rows and the lists that they name, to be copied to the device. Thread-compatible.
struct DeviceSamplingBatch {
  std::vector<DeviceSamplingRow> rows;
  std::vector<LogitBias> biases;
  std::vector<int32_t> masked_ids;
  std::vector<RowState::Entry> seen;

  // Errors as Sampler::Run's, for a row of `vocabulary` logits, which lie on the device.
  KernelError Add(const SamplingRow& row, int64_t vocabulary);
};

struct DeviceSamplerArgs {
  ConstMatrixView logits = {};                      // float32 [rows, vocabulary]
  MatrixView scratch = {};                          // float32 [rows, vocabulary]: overwritten
  std::span<const DeviceSamplingRow> rows = {};     // and the batch's lists
  std::span<const LogitBias> biases = {};
  std::span<const int32_t> masked_ids = {};
  std::span<const RowState::Entry> seen = {};
  std::span<SampledToken> tokens = {};              // out [rows]
};
KernelError Sample(DeviceStream& stream, const DeviceSamplerArgs& args);

struct SamplerParams {
  DeviceOperand logits = {}, scratch = {};
  int64_t vocabulary = 0;
  DevicePtr<const DeviceSamplingRow> rows = {};
  DevicePtr<const LogitBias> biases = {};
  DevicePtr<const int32_t> masked_ids = {};
  DevicePtr<const RowState::Entry> seen = {};
  DevicePtr<SampledToken> tokens = {};
};
ATOLL_DECLARE_KERNEL(SampleRows, 1024, SamplerParams);

}  // namespace atoll::kernels
