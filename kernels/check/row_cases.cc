// Ops that take each row by itself.

#include <cstring>

#include "kernels/check/op_case.h"
#include "kernels/combine/combine_cuda.h"
#include "kernels/embedding/embedding_cuda.h"
#include "kernels/rms_norm/rms_norm_cuda.h"
#include "kernels/swiglu/swiglu_cuda.h"

namespace atoll::kernels::check {
namespace {

using enum Place;
constexpr double kOneRounding = 0.02;   // of a bfloat16 result of some standard deviations

OpCase RmsNormCase(CaseMaker& maker, int64_t rows, int64_t width, DType out_dtype) {
  OpCase made{.shape = std::to_string(width) + " to " + DTypeName(out_dtype), .rows = rows,
              .tolerance = out_dtype == DType::kBF16 ? kOneRounding : 1e-5, .row_bytes = static_cast<double>(width * (4 + DTypeBytes(out_dtype)))};
  Array& x = maker.NewNormal(made, DType::kF32, rows * width, 3);
  Array& weight = maker.NewNormal(made, DType::kF32, width);
  Array& out = maker.New(made, rows * width * DTypeBytes(out_dtype));
  made.outputs = {{&out, out_dtype, width}};
  const auto views = [&x, &weight, &out, width, out_dtype](Place place, int64_t count, auto&& norm) {
    return norm(x.Matrix(place, DType::kF32, count, width), weight.Span<const float>(place), out.Matrix(place, out_dtype, count, width));
  };
  made.on_host = [views](const Context& context, int64_t count) {
    return views(kHost, count, [&](auto in, auto w, auto to) { return RmsNorm(context, in, w, 1e-6f, to); });
  };
  made.on_device = [views](DeviceStream& stream, int64_t count) {
    return views(kDevice, count, [&](auto in, auto w, auto to) { return RmsNorm(stream, in, w, 1e-6f, to); });
  };
  return made;
}

OpCase SwiGluCase(CaseMaker& maker, int64_t rows, int64_t width) {
  OpCase made{.shape = std::to_string(width) + " to bfloat16", .rows = rows, .row_bytes = static_cast<double>(width * 10)};
  Array& gate = maker.NewNormal(made, DType::kF32, rows * width, 2);
  Array& up = maker.NewNormal(made, DType::kF32, rows * width, 2);
  Array& out = maker.New(made, rows * width * 2);
  made.outputs = {{&out, DType::kBF16, width}};
  const auto views = [&gate, &up, &out, width](Place place, int64_t count, auto&& product) {
    return product(gate.Matrix(place, DType::kF32, count, width), up.Matrix(place, DType::kF32, count, width), out.Matrix(place, DType::kBF16, count, width));
  };
  made.on_host = [views](const Context& context, int64_t count) { return views(kHost, count, [&](auto g, auto u, auto to) { return SwiGlu(context, g, u, to); }); };
  made.on_device = [views](DeviceStream& stream, int64_t count) { return views(kDevice, count, [&](auto g, auto u, auto to) { return SwiGlu(stream, g, u, to); }); };
  return made;
}

OpCase EmbeddingCase(CaseMaker& maker, int64_t rows, int64_t vocabulary, int64_t width) {
  OpCase made{.shape = std::to_string(vocabulary) + " x " + std::to_string(width) + " bfloat16", .rows = rows, .row_bytes = static_cast<double>(width * 6)};
  Array& table = maker.NewNormal(made, DType::kBF16, vocabulary * width);
  Array& tokens = maker.New(made, rows * 4);
  for (int32_t& token : tokens.Span<int32_t>(kHost)) token = static_cast<int32_t>(maker.random() % static_cast<uint32_t>(vocabulary));
  Array& out = maker.New(made, rows * width * 4);
  made.outputs = {{&out, DType::kF32, width}};
  const auto views = [&table, &tokens, &out, vocabulary, width](Place place, int64_t count, auto&& embed) {
    return embed(table.Matrix(place, DType::kBF16, vocabulary, width), tokens.Span<const int32_t>(place).first(static_cast<size_t>(count)),
                 out.Matrix(place, DType::kF32, count, width));
  };
  made.on_host = [views](const Context& context, int64_t count) { return views(kHost, count, [&](auto t, auto ids, auto to) { return Embedding(context, t, ids, to); }); };
  made.on_device = [views](DeviceStream& stream, int64_t count) { return views(kDevice, count, [&](auto t, auto ids, auto to) { return Embedding(stream, t, ids, to); }); };
  return made;
}

// The residual is in and out, so this is compared over a copy of it that each run begins with: rows of the case's own closure.
OpCase CombineCase(CaseMaker& maker, int64_t rows, int64_t slots, int64_t width) {
  OpCase made{.shape = std::to_string(slots) + " x " + std::to_string(width) + " bfloat16, shared", .rows = rows,
              .row_bytes = static_cast<double>(width * (2 * slots + 12))};
  Array& results = maker.NewNormal(made, DType::kBF16, rows * slots * width);
  Array& weights = maker.NewNormal(made, DType::kF32, rows * slots);
  Array& shared = maker.NewNormal(made, DType::kF32, rows * width);
  Array& before = maker.NewNormal(made, DType::kF32, rows * width);
  Array& residual = maker.New(made, rows * width * 4);
  Array& non_finite = maker.New(made, rows);
  Array& host_rows = maker.New(made, rows * slots * static_cast<int64_t>(sizeof(void*)));
  Array& device_rows = maker.New(made, host_rows.bytes());
  for (int64_t i = 0; i < rows * slots; ++i) {
    const int64_t other = (i * 7 + 3) % (rows * slots);   // as arrival order would have it
    host_rows.Span<const void*>(kHost)[static_cast<size_t>(i)] = results.At(kHost) + other * width * 2;
    device_rows.Span<const void*>(kHost)[static_cast<size_t>(i)] = results.At(kDevice) + other * width * 2;
  }
  made.outputs = {{&residual, DType::kF32, width}, {&non_finite, DType::kF8E8M0, 1}};
  const auto args = [&, slots, width](Place place, const Array& addresses, int64_t count) {
    const auto items = static_cast<size_t>(count * slots);
    return CombineArgs{.slots = slots, .expert_rows = addresses.Span<const void* const>(place).first(items), .expert_dtype = DType::kBF16,
                       .weights = weights.Span<const float>(place).first(items), .shared = shared.Matrix(place, DType::kF32, count, width),
                       .residual = residual.Matrix(place, DType::kF32, count, width), .non_finite = non_finite.Span<uint8_t>(place).first(static_cast<size_t>(count))};
  };
  made.on_host = [args, &before, &residual, &host_rows, width](const Context& context, int64_t count) {
    std::memcpy(residual.At(kHost), before.At(kHost), static_cast<size_t>(count * width * 4));
    return Combine(context, args(kHost, host_rows, count));
  };
  made.on_device = [args, &before, &residual, &device_rows, width](DeviceStream& stream, int64_t count) {
    ATOLL_RETURN_IF_KERNEL_ERROR(stream.CopyOnDevice(residual.At(kDevice), before.At(kDevice), count * width * 4));
    return Combine(stream, args(kDevice, device_rows, count));
  };
  return made;
}

}  // namespace

void AddRowCases(bool family, Cases& cases) {
  for (int64_t width : family ? std::vector<int64_t>{7168, 1536, 512} : std::vector<int64_t>{256, 96, 64, 1000}) {
    for (DType out : {DType::kBF16, DType::kF32}) cases.push_back({"rms_norm", [=](CaseMaker& maker) { return RmsNormCase(maker, 256, width, out); }});
  }
  for (int64_t width : family ? std::vector<int64_t>{2048, 18432} : std::vector<int64_t>{64, 512, 33}) {
    cases.push_back({"swiglu", [=](CaseMaker& maker) { return SwiGluCase(maker, 256, width); }});
  }
  const int64_t vocabulary = family ? 129280 : 1536, hidden = family ? 7168 : 256, slots = family ? 8 : 4;
  cases.push_back({"embedding", [=](CaseMaker& maker) { return EmbeddingCase(maker, 256, vocabulary, hidden); }});
  cases.push_back({"combine", [=](CaseMaker& maker) { return CombineCase(maker, 256, slots, hidden); }});
}

}  // namespace atoll::kernels::check
