#include "kernels/linear/packed_matrix.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/linear/e4m3_packing.h"
#include "kernels/linear/pack_source.h"

namespace atoll::kernels {
namespace {

constexpr int64_t kAlignment = 64;

int64_t RoundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }
int64_t CeilDiv(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }

bool Scaled(DType dtype) { return dtype == DType::kF8E4M3; }

int64_t PairBytes(DType dtype) { return kPanelOutputs * 2 * DTypeBytes(dtype); }

// How far it is from `first` to the next boundary of a scale block.
int64_t ToBoundary(int64_t first) { return (kScaleBlock - first % kScaleBlock) % kScaleBlock; }

// Where the k block that holds `input` begins, its number, and its first pair. bf16 and float32 count blocks too: one of them.
struct KBlock {
  int64_t first = 0;
  int64_t length = 0;
  int64_t number = 0;
  int64_t first_pair = 0;
};

KBlock KBlockAt(const PackedMatrix& matrix, int64_t input) {
  if (!Scaled(matrix.dtype)) return {0, matrix.inputs, 0, 0};
  const int64_t lead = matrix.first_inputs;
  if (input < lead) return {0, lead, 0, 0};
  const int64_t whole = (input - lead) / kScaleBlock;
  const int64_t first = lead + whole * kScaleBlock;
  return {first, std::min(kScaleBlock, matrix.inputs - first), whole + (lead > 0), CeilDiv(lead, 2) + whole * (kScaleBlock / 2)};
}

int64_t PairCount(const PackedMatrix& matrix) {
  if (matrix.inputs == 0) return 0;
  const KBlock last = KBlockAt(matrix, matrix.inputs - 1);
  return last.first_pair + CeilDiv(last.length, 2);
}

int64_t KBlockCount(const PackedMatrix& matrix) { return matrix.inputs == 0 ? 0 : KBlockAt(matrix, matrix.inputs - 1).number + 1; }

int64_t PanelCount(int64_t outputs, int64_t first_outputs) {
  return CeilDiv(first_outputs, kPanelOutputs) + CeilDiv(outputs - first_outputs, kPanelOutputs);
}

// Byte of element `element` (0 or 1) of output `lane` inside a pair.
int64_t ByteInPair(DType dtype, int64_t lane, int64_t element) {
  if (dtype == DType::kF32) return (element * kPanelOutputs + lane) * 4;
  if (dtype == DType::kBF16) return (lane * 2 + element) * 2;
  const int64_t half = lane / 32, in_half = lane % 32;
  return half * 64 + 16 * (in_half % 16 / 4) + 8 * (in_half / 16) + 2 * (in_half % 4) + element;
}

PackedMatrix Describe(const PackSource& source) {
  PackedMatrix matrix;
  matrix.dtype = source.dtype;
  matrix.outputs = source.transposed ? source.cols : source.rows;
  matrix.inputs = source.transposed ? source.rows : source.cols;
  if (Scaled(source.dtype)) {
    matrix.first_outputs = std::min(ToBoundary(source.transposed ? source.col0 : source.row0), matrix.outputs);
    matrix.first_inputs = std::min(ToBoundary(source.transposed ? source.row0 : source.col0), matrix.inputs);
    matrix.head_bytes = RoundUp(KBlockCount(matrix) * int64_t{sizeof(KBlockHead)}, kAlignment);
  }
  matrix.panels = PanelCount(matrix.outputs, matrix.first_outputs);
  matrix.panel_bytes = matrix.head_bytes + PairCount(matrix) * PairBytes(matrix.dtype);
  return matrix;
}

// Copies one output's elements of one k block.
template <typename Element>
void CopyLane(const PackSource& source, const PackedMatrix& matrix, const KBlock& block, int64_t output, std::byte* lane_of_pair) {
  const int64_t step = (source.transposed ? source.row_stride : 1) * int64_t{sizeof(Element)};
  const int64_t pair_bytes = PairBytes(matrix.dtype);
  const int64_t odd_offset = ByteInPair(matrix.dtype, 0, 1);
  const std::byte* from = SourceElement(source, output, block.first);
  for (int64_t i = 0; i < block.length; ++i, from += step) {
    std::memcpy(lane_of_pair + (i / 2) * pair_bytes + (i % 2) * odd_offset, from, sizeof(Element));
  }
}

struct CodesFound {
  int64_t nan_at = -1;   // an input whose code is NaN
  uint64_t rare = 0;     // bit p: pair p has a rare weight
};

// The same for e4m3: packs the codes.
void PackLane(const PackSource& source, const KBlock& block, int64_t output, std::byte* lane_of_pair, CodesFound& found) {
  const int64_t step = source.transposed ? source.row_stride : 1;
  const std::byte* from = SourceElement(source, output, block.first);
  for (int64_t i = 0; i < block.length; ++i, from += step) {
    const uint8_t code = std::to_integer<uint8_t>(*from);
    if ((code & 0x7F) == 0x7F) found.nan_at = block.first + i;
    const uint8_t packed = kE4M3Packing.packed[code];
    found.rare |= uint64_t{(packed & kRareMask) == kRareBits} << (i / 2);
    lane_of_pair[(i / 2) * PairBytes(DType::kF8E4M3) + i % 2] = std::byte{packed};
  }
}

void CopyBlock(const PackSource& source, const PackedMatrix& matrix, int64_t panel, const KBlock& block, std::byte* pairs) {
  const PanelRange range = PanelOutputs(matrix, panel);
  for (int64_t lane = 0; lane < range.width; ++lane) {
    std::byte* const to = pairs + ByteInPair(matrix.dtype, lane, 0);
    if (matrix.dtype == DType::kBF16) CopyLane<uint16_t>(source, matrix, block, range.first + lane, to);
    else CopyLane<uint32_t>(source, matrix, block, range.first + lane, to);
  }
}

// Returns the output * inputs + input of a NaN code, or -1.
int64_t PackBlock(const PackSource& source, const PackedMatrix& matrix, int64_t panel, const KBlock& block, std::byte* pairs, KBlockHead* head) {
  const PanelRange range = PanelOutputs(matrix, panel);
  int64_t nan_at = -1;
  CodesFound found;
  for (int64_t lane = 0; lane < range.width; ++lane) {
    PackLane(source, block, range.first + lane, pairs + ByteInPair(matrix.dtype, lane, 0), found);
    if (found.nan_at >= 0) nan_at = (range.first + lane) * matrix.inputs + found.nan_at;
    found.nan_at = -1;
  }
  *head = {found.rare, SourceScale(source, range.first, block.first)};
  return nan_at;
}

// Returns the output * inputs + input of a NaN code, or -1.
int64_t PackPanel(const PackSource& source, const PackedMatrix& matrix, int64_t panel, std::byte* to) {
  int64_t nan_at = -1;
  std::fill_n(to, matrix.panel_bytes, std::byte{0});
  for (int64_t k = 0; k < matrix.inputs;) {
    const KBlock block = KBlockAt(matrix, k);
    std::byte* const pairs = to + matrix.head_bytes + block.first_pair * PairBytes(matrix.dtype);
    if (Scaled(matrix.dtype)) {
      const int64_t at = PackBlock(source, matrix, panel, block, pairs, reinterpret_cast<KBlockHead*>(to) + block.number);
      if (at >= 0) nan_at = at;
    } else {
      CopyBlock(source, matrix, panel, block, pairs);
    }
    k = block.first + block.length;
  }
  return nan_at;
}

}  // namespace

PanelRange PanelOutputs(const PackedMatrix& matrix, int64_t panel) {
  const int64_t lead_panels = CeilDiv(matrix.first_outputs, kPanelOutputs);
  const bool leads = panel < lead_panels;
  const int64_t first = leads ? panel * kPanelOutputs : matrix.first_outputs + (panel - lead_panels) * kPanelOutputs;
  return {first, std::min(kPanelOutputs, (leads ? matrix.first_outputs : matrix.outputs) - first)};
}

namespace {

int64_t PanelOf(const PackedMatrix& matrix, int64_t output) {
  if (output < matrix.first_outputs) return output / kPanelOutputs;
  return CeilDiv(matrix.first_outputs, kPanelOutputs) + (output - matrix.first_outputs) / kPanelOutputs;
}

}  // namespace

float PackedWeight(const PackedMatrix& matrix, int64_t output, int64_t input) {
  const int64_t panel = PanelOf(matrix, output);
  const KBlock block = KBlockAt(matrix, input);
  const int64_t pair = block.first_pair + (input - block.first) / 2;
  const std::byte* at = matrix.data + panel * matrix.panel_bytes + matrix.head_bytes + pair * PairBytes(matrix.dtype) +
                        ByteInPair(matrix.dtype, output - PanelOutputs(matrix, panel).first, (input - block.first) % 2);
  if (matrix.dtype == DType::kF8E4M3) return E4M3ToFloat(kE4M3Packing.code[std::to_integer<uint8_t>(*at)]);
  if (matrix.dtype == DType::kBF16) return ToFloat(*reinterpret_cast<const BFloat16*>(at));
  return *reinterpret_cast<const float*>(at);
}

float PackedScale(const PackedMatrix& matrix, int64_t output, int64_t input) {
  if (matrix.head_bytes == 0) return 1.0f;
  const std::byte* panel = matrix.data + PanelOf(matrix, output) * matrix.panel_bytes;
  return reinterpret_cast<const KBlockHead*>(panel)[KBlockAt(matrix, input).number].scale;
}

int64_t PackedBytes(const PackSource& source) {
  if (!CheckPackSource(source).ok()) return 0;
  const PackedMatrix matrix = Describe(source);
  return matrix.panels * matrix.panel_bytes;
}

KernelError PackMatrix(const Context& context, const PackSource& source, std::span<std::byte> to, PackedMatrix* packed) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckPackSource(source));
  PackedMatrix matrix = Describe(source);
  if (static_cast<int64_t>(to.size()) < matrix.panels * matrix.panel_bytes || reinterpret_cast<uintptr_t>(to.data()) % kAlignment != 0) {
    return InvalidShape("packing needs " + std::to_string(matrix.panels * matrix.panel_bytes) + " bytes aligned to 64, found " +
                        std::to_string(to.size()));
  }
  matrix.data = to.data();
  std::atomic<int64_t> nan_at{-1};
  ParallelFor(context, matrix.panels, [&](int64_t panel, int) {
    const int64_t at = PackPanel(source, matrix, panel, to.data() + panel * matrix.panel_bytes);
    if (at >= 0) nan_at.store(at, std::memory_order_relaxed);
  });
  if (nan_at.load() >= 0) return NanWeight(source, nan_at.load() / matrix.inputs, nan_at.load() % matrix.inputs);
  *packed = matrix;
  return {};
}

}  // namespace atoll::kernels
