// Rotary embedding and the key rows.

#include "base/check.h"
#include "kernels/check/op_case.h"
#include "kernels/rope/rope_cuda.h"

namespace atoll::kernels::check {
namespace {

using enum Place;

struct RopeShape {
  int64_t heads, nope_dim, rope_dim, latent_dim;
};

std::shared_ptr<const RopeTable> Table(int64_t rope_dim) {
  auto table = std::make_shared<RopeTable>();
  const RopeParams params = {.dim = rope_dim, .positions_max = 1 << 17, .yarn = true,
                             .yarn_params = {.factor = 40, .mscale = 1, .mscale_all_dim = 1}};
  const KernelError error = RopeTable::Make(params, table.get());
  ATOLL_CHECK(error.ok(), error.text);
  return table;
}

Array& Positions(CaseMaker& maker, OpCase& made, int64_t rows) {
  Array& positions = maker.New(made, rows * 4);
  for (int32_t& position : positions.Span<int32_t>(kHost)) position = static_cast<int32_t>(maker.random() % (1 << 17));
  return positions;
}

OpCase QueryCase(CaseMaker& maker, int64_t rows, const RopeShape& shape) {
  const int64_t nope = shape.heads * shape.nope_dim, rope = shape.heads * shape.rope_dim;
  OpCase made{.shape = std::to_string(shape.heads) + " heads of " + std::to_string(shape.nope_dim) + " + " + std::to_string(shape.rope_dim), .rows = rows,
              .row_bytes = static_cast<double>((nope + rope) * 6)};
  Array& q = maker.NewNormal(made, DType::kF32, rows * (nope + rope));
  Array& positions = Positions(maker, made, rows);
  Array& q_nope = maker.New(made, rows * nope * 2);
  Array& q_rope = maker.New(made, rows * rope * 2);
  made.outputs = {{&q_nope, DType::kBF16, nope}, {&q_rope, DType::kBF16, rope}};
  const auto args = [&, shape, nope, rope](Place place, int64_t count) {
    return RotateQueriesArgs{.q = q.Matrix(place, DType::kF32, count, nope + rope), .positions = positions.Span<const int32_t>(place).first(static_cast<size_t>(count)),
                             .heads = shape.heads, .nope_dim = shape.nope_dim, .q_nope = q_nope.Matrix(place, DType::kBF16, count, nope),
                             .q_rope = q_rope.Matrix(place, DType::kBF16, count, rope)};
  };
  made.on_host = [args, table = Table(shape.rope_dim)](const Context& context, int64_t count) { return RotateQueries(context, *table, args(kHost, count)); };
  made.on_device = [args, table = Table(shape.rope_dim)](DeviceStream& stream, int64_t count) { return RotateQueries(stream, *table, args(kDevice, count)); };
  return made;
}

OpCase KeyCase(CaseMaker& maker, int64_t rows, const RopeShape& shape) {
  const int64_t width = shape.latent_dim + shape.rope_dim;
  OpCase made{.shape = std::to_string(shape.latent_dim) + " + " + std::to_string(shape.rope_dim), .rows = rows, .tolerance = 0.02,
              .row_bytes = static_cast<double>(width * 6)};
  Array& kv_a = maker.NewNormal(made, DType::kF32, rows * width);
  Array& weight = maker.NewNormal(made, DType::kF32, shape.latent_dim);
  Array& positions = Positions(maker, made, rows);
  Array& keys = maker.New(made, rows * width * 2);
  Array& host_rows = maker.New(made, rows * static_cast<int64_t>(sizeof(void*)));
  Array& device_rows = maker.New(made, host_rows.bytes());
  for (int64_t i = 0; i < rows; ++i) {
    host_rows.Span<std::byte*>(kHost)[static_cast<size_t>(i)] = keys.At(kHost) + i * width * 2;
    device_rows.Span<std::byte*>(kHost)[static_cast<size_t>(i)] = keys.At(kDevice) + i * width * 2;
  }
  made.outputs = {{&keys, DType::kBF16, width}};
  const auto args = [&, width](Place place, const Array& addresses, int64_t count) {
    const auto items = static_cast<size_t>(count);
    return WriteKeysArgs{.kv_a = kv_a.Matrix(place, DType::kF32, count, width), .positions = positions.Span<const int32_t>(place).first(items),
                         .latent_weight = weight.Span<const float>(place), .key_rows = addresses.Span<std::byte* const>(place).first(items)};
  };
  made.on_host = [args, &host_rows, table = Table(shape.rope_dim)](const Context& context, int64_t count) { return WriteKeys(context, *table, args(kHost, host_rows, count)); };
  made.on_device = [args, &device_rows, table = Table(shape.rope_dim)](DeviceStream& stream, int64_t count) { return WriteKeys(stream, *table, args(kDevice, device_rows, count)); };
  return made;
}

}  // namespace

void AddRopeCases(bool family, Cases& cases) {
  const RopeShape shape = family ? RopeShape{128, 128, 64, 512} : RopeShape{8, 32, 16, 64};
  cases.push_back({"rotate_queries", [=](CaseMaker& maker) { return QueryCase(maker, 256, shape); }});
  cases.push_back({"write_keys", [=](CaseMaker& maker) { return KeyCase(maker, 256, shape); }});
}

}  // namespace atoll::kernels::check
