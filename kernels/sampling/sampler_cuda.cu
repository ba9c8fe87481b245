#include "kernels/cuda/device_code.h"
#include "kernels/sampling/sampler_cuda.h"
#include "kernels/sampling/select_device.h"
// After the lanes that it is written over.
#include "kernels/sampling/philox.h"

namespace atoll::kernels {
namespace {

constexpr float kGreedyBelow = 1e-5f;   // SamplingParams::Greedy

// Bias, masks and penalties. Ids of one list differ, but for biases, which are added one after the other.
ATOLL_DEVICE void AdjustLogits(const SamplerParams& params, const DeviceSamplingRow& row, float* x) {
  if (threadIdx.x == 0) {
    for (int32_t i = 0; i < row.biases.count; ++i) {
      const LogitBias& bias = params.biases[row.biases.first + i];
      x[bias.token] += bias.bias;
    }
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < row.masked.count; i += blockDim.x) x[params.masked_ids[row.masked.first + i]] = MinusInfinity();
  __syncthreads();
  for (int64_t i = threadIdx.x; i < row.seen.count; i += blockDim.x) {
    const RowState::Entry& seen = params.seen[row.seen.first + i];
    float value = x[seen.token];
    value = value > 0 ? value / row.repetition_penalty : value * row.repetition_penalty;
    if (seen.generated != 0) {
      value -= row.frequency_penalty * static_cast<float>(seen.generated);
      value -= row.presence_penalty;
    }
    x[seen.token] = value;
  }
  __syncthreads();
}

// min-p, top-k and top-p on scaled logits less their maximum.
ATOLL_DEVICE void FilterTokens(const DeviceSamplingRow& row, float* d, int64_t vocabulary) {
  ATOLL_SHARED(Weight, weights, kDigits);
  ATOLL_SHARED(Weight, sums, 1);
  ATOLL_SHARED(uint32_t, key, 1);
  const Digits digits = {weights, sums, key};
  const float cut = row.min_p > 0 ? Log(row.min_p) : MinusInfinity();
  for (int64_t i = threadIdx.x; i < vocabulary; i += blockDim.x) d[i] = d[i] >= cut ? d[i] : MinusInfinity();
  __syncthreads();
  const auto one = [](float) { return Weight{1}; };
  const auto mass = [](float value) { return MassOf(value); };
  if (row.top_k > 0 && row.top_k < vocabulary) {
    const Weight present = TotalWeight(d, vocabulary, one, sums);
    if (static_cast<Weight>(row.top_k) < present) KeepFirst(d, vocabulary, static_cast<Weight>(row.top_k), one, digits);
  }
  if (row.top_p >= 1) return;
  const Weight total = TotalWeight(d, vocabulary, mass, sums);
  const auto limit = static_cast<Weight>(static_cast<double>(row.top_p) * static_cast<double>(total));
  KeepFirst(d, vocabulary, limit > 1 ? limit : Weight{1}, mass, digits);
}

// The id with the largest d + noise. A thread takes the four ids whose noise one Philox block holds.
ATOLL_DEVICE int32_t GumbelMax(const float* d, int64_t count, const NoiseKey& key) {
  Candidate best = {MinusInfinity(), -1};
  for (int64_t block = threadIdx.x; block < (count + 63) / 64 * 16; block += blockDim.x) {
    const int64_t first = block / 16 * 64 + block % 16;
    bool any = false;
    for (int word = 0; word < 4; ++word) any = any || (first + 16 * word < count && Present(d[first + 16 * word]));
    if (!any) continue;
    const PhiloxWords words = Philox(key, static_cast<int32_t>(block));
    ATOLL_UNROLL_REGISTERS for (int word = 0; word < 4; ++word) {
      const int64_t id = first + 16 * word;
      if (id < count && Present(d[id])) Offer({d[id] + GumbelNoise(words.word[word]), static_cast<int32_t>(id)}, best);
    }
  }
  return BlockBest(best).index;
}

ATOLL_DEVICE SampledToken SampleRow(const SamplerParams& params, const DeviceSamplingRow& row, const float* logits, float* x) {
  const int64_t vocabulary = params.vocabulary;
  if (!AllFinite(logits, vocabulary)) return {.outcome = SampleOutcome::kNonFiniteLogit};
  for (int64_t i = threadIdx.x; i < vocabulary; i += blockDim.x) x[i] = logits[i];
  __syncthreads();
  AdjustLogits(params, row, x);
  const Candidate best = LargestOfRow(x, vocabulary);
  if (best.value == MinusInfinity()) return {.outcome = SampleOutcome::kNothingAllowed};
  if (row.temperature < kGreedyBelow) return {.token = best.index};
  const float max = best.value / row.temperature;
  if (!IsFinite(max)) return {.outcome = SampleOutcome::kNonFiniteLogit};
  for (int64_t i = threadIdx.x; i < vocabulary; i += blockDim.x) x[i] = x[i] / row.temperature - max;
  __syncthreads();
  FilterTokens(row, x, vocabulary);
  return {.token = GumbelMax(x, vocabulary, {.seed = row.seed, .sequence_index = row.sequence_index, .position = row.position})};
}

}  // namespace

ATOLL_KERNEL(SampleRows, SamplerParams) {
  const float* const logits = reinterpret_cast<const float*>(RowOf(params.logits, blockIdx.x));
  float* const x = reinterpret_cast<float*>(RowOf(params.scratch, blockIdx.x));
  const SampledToken token = SampleRow(params, params.rows[blockIdx.x], logits, x);
  if (threadIdx.x == 0) params.tokens[blockIdx.x] = token;
}

}  // namespace atoll::kernels
