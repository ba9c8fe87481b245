// What is made of the logits: normalizers of log-probabilities, tokens.

#include <algorithm>

#include "base/check.h"
#include "kernels/check/op_case.h"
#include "kernels/sampling/sampler.h"
#include "kernels/sampling/sampler_cuda.h"
#include "kernels/softmax/logprobs_cuda.h"

namespace atoll::kernels::check {
namespace {

using enum Place;

OpCase NormalizerCase(CaseMaker& maker, int64_t rows, int64_t vocabulary) {
  OpCase made{.shape = std::to_string(vocabulary) + " logits", .rows = rows, .tolerance = 1e-5, .row_bytes = static_cast<double>(vocabulary * 4)};
  Array& logits = maker.NewNormal(made, DType::kF32, rows * vocabulary, 4);
  Array& normalizers = maker.New(made, rows * static_cast<int64_t>(sizeof(LogNormalizer)));
  Array& numbers = maker.New(made, rows * 8);   // max and log_sum
  made.outputs = {{&numbers, DType::kF32, 2}};
  made.raw = {&normalizers};
  made.unpack = [&normalizers, &numbers](int64_t count) {
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const LogNormalizer& from = normalizers.Span<LogNormalizer>(kHost)[i];
      numbers.Span<float>(kHost)[2 * i] = from.finite ? from.max : -1;
      numbers.Span<float>(kHost)[2 * i + 1] = from.log_sum;
    }
  };
  made.on_host = [=, &logits, &normalizers](const Context& context, int64_t count) {
    return LogNormalizers(context, logits.Matrix(kHost, DType::kF32, count, vocabulary), normalizers.Span<LogNormalizer>(kHost).first(static_cast<size_t>(count)));
  };
  made.on_device = [=, &logits, &normalizers](DeviceStream& stream, int64_t count) {
    return LogNormalizers(stream, logits.Matrix(kDevice, DType::kF32, count, vocabulary), normalizers.Span<LogNormalizer>(kDevice).first(static_cast<size_t>(count)));
  };
  return made;
}

// Rows of every kind, in turn: greedy, plain, min-p, top-k, top-p, all of them, penalties and biases.
std::vector<SamplingParams> Kinds(CaseMaker& maker, int64_t rows) {
  std::vector<SamplingParams> kinds;
  for (int64_t i = 0; i < rows; ++i) {
    SamplingParams params = {.temperature = i % 7 == 0 ? 0.0f : 0.8f, .seed = maker.random()};
    if (i % 7 == 2 || i % 7 == 5) params.min_p = 0.02f;
    if (i % 7 == 3 || i % 7 == 5) params.top_k = 40;
    if (i % 7 == 4 || i % 7 == 5) params.top_p = 0.9f;
    if (i % 7 == 6) {
      params.repetition_penalty = 1.2f;
      params.frequency_penalty = 0.3f;
      params.logit_bias = {{5, 2.5f}, {77, -4}};
    }
    kinds.push_back(params);
  }
  return kinds;
}

struct SamplerRows {
  std::vector<SamplingParams> params;
  RowState state;
  std::vector<SamplingRow> rows;
  DeviceSamplingBatch batch;
};

std::shared_ptr<SamplerRows> MakeRows(CaseMaker& maker, const Array& logits, int64_t rows, int64_t vocabulary) {
  auto made = std::make_shared<SamplerRows>();
  made->params = Kinds(maker, rows);
  made->state.AddPrompt(std::vector<int32_t>{1, 5, 9, 200});
  for (int32_t token : {5, 5, 17}) made->state.AddGenerated(token);
  for (int64_t i = 0; i < rows; ++i) {
    const auto at = static_cast<size_t>(i);
    made->rows.push_back({.logits = logits.Span<const float>(kHost).subspan(at * static_cast<size_t>(vocabulary), static_cast<size_t>(vocabulary)),
                          .params = &made->params[at], .state = &made->state, .sequence_index = static_cast<uint32_t>(i % 3), .position = static_cast<uint32_t>(1000 + i)});
    const KernelError error = made->batch.Add(made->rows.back(), vocabulary);
    ATOLL_CHECK(error.ok(), error.text);
  }
  return made;
}

// A list in an array that lives on the device too.
template <typename T>
Array& NewList(CaseMaker& maker, OpCase& made, const std::vector<T>& list) {
  Array& array = maker.New(made, static_cast<int64_t>(list.size() * sizeof(T)));
  std::copy(list.begin(), list.end(), array.Span<T>(kHost).begin());
  return array;
}

OpCase SamplerCase(CaseMaker& maker, int64_t rows, int64_t vocabulary) {
  OpCase made{.shape = std::to_string(vocabulary) + " logits, all filters", .rows = rows, .row_bytes = static_cast<double>(vocabulary * 8)};
  Array& logits = maker.NewNormal(made, DType::kF32, rows * vocabulary, 4);
  const std::shared_ptr<SamplerRows> sampled = MakeRows(maker, logits, rows, vocabulary);
  Array& device_rows = NewList(maker, made, sampled->batch.rows);
  Array& biases = NewList(maker, made, sampled->batch.biases);
  Array& seen = NewList(maker, made, sampled->batch.seen);
  Array& scratch = maker.New(made, logits.bytes());
  Array& results = maker.New(made, rows * static_cast<int64_t>(sizeof(SampledToken)));
  Array& tokens = maker.New(made, rows * 4);
  made.outputs = {{&tokens, DType::kI32, 1}};
  made.raw = {&results};
  made.unpack = [&results, &tokens](int64_t count) {
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const SampledToken& from = results.Span<SampledToken>(kHost)[i];
      tokens.Span<int32_t>(kHost)[i] = from.outcome == SampleOutcome::kToken ? from.token : -2;
    }
  };
  made.on_host = [=, &results](const Context& context, int64_t count) {
    const auto items = static_cast<size_t>(count);
    return Sampler(vocabulary, Threads(context)).Run(context, std::span(sampled->rows).first(items), results.Span<SampledToken>(kHost).first(items));
  };
  made.on_device = [=, &logits, &device_rows, &biases, &seen, &scratch, &results](DeviceStream& stream, int64_t count) {
    const auto items = static_cast<size_t>(count);
    return Sample(stream, {.logits = logits.Matrix(kDevice, DType::kF32, count, vocabulary), .scratch = scratch.Matrix(kDevice, DType::kF32, count, vocabulary),
                           .rows = device_rows.Span<const DeviceSamplingRow>(kDevice).first(items), .biases = biases.Span<const LogitBias>(kDevice),
                           .seen = seen.Span<const RowState::Entry>(kDevice), .tokens = results.Span<SampledToken>(kDevice).first(items)});
  };
  return made;
}

}  // namespace

void AddHeadCases(bool family, Cases& cases) {
  const int64_t rows = family ? 128 : 66, vocabulary = family ? 129280 : 1536;
  cases.push_back({"log_normalizers", [=](CaseMaker& maker) { return NormalizerCase(maker, rows, vocabulary); }});
  cases.push_back({"sampler", [=](CaseMaker& maker) { return SamplerCase(maker, rows, vocabulary); }});
}

}  // namespace atoll::kernels::check
