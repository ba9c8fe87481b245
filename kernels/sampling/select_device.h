#pragma once

// Which tokens top-k and top-p keep of a row, by one block and without sorting. Tokens are ordered by (larger d, then lower id) and each has a
// weight, a whole number: 1 for top-k, its mass for top-p. A token stays while the weight of those before it is below a limit. The last d that
// stays is found digit by digit; sums of whole numbers know no order.

#include "kernels/softmax/row_device.h"

namespace atoll::kernels {
namespace {

constexpr int kDigits = 256;

using Weight = unsigned long long;

// Larger d, larger key; -0 and 0 are one.
ATOLL_DEVICE uint32_t KeyOf(float d) {
  const uint32_t bits = std::bit_cast<uint32_t>(d + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

ATOLL_DEVICE bool Present(float d) { return d > MinusInfinity(); }

ATOLL_DEVICE Weight MassOf(float d) { return static_cast<Weight>(Exp(d) * 0x1p32f); }

struct Digits {
  Weight* weights;     // [kDigits], shared
  Weight* before;      // [1] weight of the tokens in front of those that are still in question
  uint32_t* key;       // [1] what is known of the border's key
};

// One digit of the border's key: weights of all values that the digit has among the tokens in question, then where the limit falls.
template <typename WeightOf>
ATOLL_DEVICE void FindDigit(const float* d, int64_t count, int shift, Weight limit, const WeightOf& weight_of, const Digits& digits) {
  for (int i = static_cast<int>(threadIdx.x); i < kDigits; i += static_cast<int>(blockDim.x)) digits.weights[i] = 0;
  __syncthreads();
  const uint32_t known = *digits.key;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    const uint32_t key = KeyOf(d[i]);
    const bool in_question = shift == 24 || (key ^ known) >> (shift + 8) == 0;
    if (in_question && Present(d[i])) atomicAdd(&digits.weights[key >> shift & 0xFF], weight_of(d[i]));
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    Weight before = *digits.before;
    int digit = kDigits - 1;
    for (; digit > 0 && before + digits.weights[digit] < limit; --digit) before += digits.weights[digit];
    *digits.before = before;
    *digits.key = known | static_cast<uint32_t>(digit) << shift;
  }
  __syncthreads();
}

// Of the tokens whose key is the border's, those after the first `kept` go. Threads own neighbouring tokens, so that ids ascend over them.
ATOLL_DEVICE void DropLaterEquals(float* d, int64_t count, uint32_t border, Weight kept) {
  ATOLL_SHARED(uint32_t, equals, 1024);
  const int64_t per_thread = (count + blockDim.x - 1) / blockDim.x;
  const int64_t first = min(count, per_thread * threadIdx.x), end = min(count, first + per_thread);
  uint32_t mine = 0;
  for (int64_t i = first; i < end; ++i) mine += Present(d[i]) && KeyOf(d[i]) == border ? 1 : 0;
  equals[threadIdx.x] = mine;
  __syncthreads();
  Weight rank = 0;
  for (unsigned thread = 0; thread < threadIdx.x; ++thread) rank += equals[thread];
  for (int64_t i = first; i < end; ++i) {
    if (Present(d[i]) && KeyOf(d[i]) == border && rank++ >= kept) d[i] = MinusInfinity();
  }
}

template <typename WeightOf>
ATOLL_DEVICE Weight TotalWeight(const float* d, int64_t count, const WeightOf& weight_of, Weight* shared) {
  if (threadIdx.x == 0) *shared = 0;
  __syncthreads();
  Weight mine = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) mine += Present(d[i]) ? weight_of(d[i]) : 0;
  atomicAdd(shared, mine);
  __syncthreads();
  const Weight total = *shared;
  __syncthreads();
  return total;
}

// What is dropped becomes -infinity. `limit` is at least 1 and at most the total weight.
template <typename WeightOf>
ATOLL_DEVICE void KeepFirst(float* d, int64_t count, Weight limit, const WeightOf& weight_of, const Digits& digits) {
  if (threadIdx.x == 0) *digits.before = 0, *digits.key = 0;
  __syncthreads();
  for (int shift = 24; shift >= 0; shift -= 8) FindDigit(d, count, shift, limit, weight_of, digits);
  const uint32_t border = *digits.key;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    if (KeyOf(d[i]) < border) d[i] = MinusInfinity();
  }
  const uint32_t bits = (border & 0x80000000u) != 0 ? border ^ 0x80000000u : ~border;
  const Weight each = weight_of(std::bit_cast<float>(bits));
  __syncthreads();
  DropLaterEquals(d, count, border, (limit - *digits.before + each - 1) / each);
  __syncthreads();
}

}  // namespace
}  // namespace atoll::kernels
