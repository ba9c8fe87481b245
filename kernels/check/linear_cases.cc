// Matrix products.

#include "kernels/check/weights.h"
#include "kernels/linear/linear_cuda.h"

namespace atoll::kernels::check {
namespace {

using enum Place;

struct LinearShape {
  int64_t outputs, inputs;
  DType weights = DType::kF8E4M3, y = DType::kF32;
};

OpCase LinearCase(CaseMaker& maker, int64_t rows, const LinearShape& shape) {
  OpCase made{.shape = std::to_string(shape.outputs) + " x " + std::to_string(shape.inputs) + " " + DTypeName(shape.weights) + " to " + DTypeName(shape.y),
              .rows = rows, .tolerance = shape.y == DType::kBF16 ? 0.02 : 1e-4,
              .row_bytes = static_cast<double>(shape.inputs * 2 + shape.outputs * DTypeBytes(shape.y)),
              .row_flop = 2.0 * static_cast<double>(shape.outputs * shape.inputs)};
  const auto weights = std::make_shared<CaseWeights>(maker, made, shape.weights, shape.outputs, shape.inputs);
  made.weight_bytes = static_cast<double>(weights->bytes());
  Array& x = maker.NewNormal(made, DType::kBF16, rows * shape.inputs);
  Array& y = maker.New(made, rows * shape.outputs * DTypeBytes(shape.y));
  made.outputs = {{&y, shape.y, shape.outputs}};
  made.on_host = [&x, &y, weights, shape](const Context& context, int64_t count) {
    return Linear(context, weights->packed(), x.Matrix(kHost, DType::kBF16, count, shape.inputs), y.Matrix(kHost, shape.y, count, shape.outputs));
  };
  made.on_device = [&x, &y, weights, shape](DeviceStream& stream, int64_t count) {
    return Linear(stream, weights->on_device(), x.Matrix(kDevice, DType::kBF16, count, shape.inputs), y.Matrix(kDevice, shape.y, count, shape.outputs));
  };
  return made;
}

}  // namespace

void AddLinearCases(bool family, Cases& cases) {
  const DType fp8 = DType::kF8E4M3, bf16 = DType::kBF16, f32 = DType::kF32;
  const std::vector<LinearShape> whole = {{2112, 7168, fp8, f32}, {24576, 1536, fp8, f32}, {7168, 16384, fp8, f32}, {4096, 7168, fp8, f32},
                                          {7168, 2048, fp8, f32}, {256, 7168, bf16, f32}};
  const std::vector<LinearShape> small = {{176, 256, fp8, f32}, {384, 96, fp8, f32}, {256, 256, fp8, f32}, {130, 300, fp8, bf16},
                                          {32, 256, bf16, f32}, {65, 77, bf16, bf16}, {33, 40, f32, f32}};
  const std::vector<int64_t> row_counts = family ? std::vector<int64_t>{1, 16, 64, 256} : std::vector<int64_t>{1, 66};
  for (const LinearShape& shape : family ? whole : small) {
    for (int64_t rows : row_counts) cases.push_back({"linear", [=](CaseMaker& maker) { return LinearCase(maker, rows, shape); }});
  }
}

}  // namespace atoll::kernels::check
