// Latent attention over pages, both forms.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/check/weights.h"
#include "kernels/mla/mla_cuda.h"
#include "kernels/mla/mla_decode.h"
#include "kernels/mla/mla_prefill.h"

namespace atoll::kernels::check {
namespace {

using enum Place;
constexpr double kTolerance = 0.05;   // a few roundings of the probabilities and of the result to bfloat16, at the largest elements

struct AttentionShape {
  MlaShape mla;
  int64_t sequences;   // decode: a row each
  int64_t context;     // the longest
};

MlaShape Shape(bool family) {
  const int64_t nope = family ? 128 : 32, rope = family ? 64 : 16;
  return {.heads = family ? 128 : 8, .nope_dim = nope, .value_dim = nope, .pages = {.layers = 1, .latent_dim = family ? 512 : 64, .rope_dim = rope},
          .scale = 1.0f / std::sqrt(static_cast<float>(nope + rope))};
}

// Pages of sequences, normal up to each one's last position and NaN beyond it, and their tables, in an order that is not that of the pages.
struct Pages {
  Array* bytes = nullptr;
  Array* host_table = nullptr;
  Array* device_table = nullptr;   // what the device's copy of a table holds
  int64_t pages_each = 0;
};

Pages MakePages(CaseMaker& maker, OpCase& made, const PageLayout& layout, const std::vector<int32_t>& positions) {
  Pages pages{.pages_each = *std::max_element(positions.begin(), positions.end()) / kPagePositions + 1};
  const auto sequences = static_cast<int64_t>(positions.size()), count = sequences * pages.pages_each;
  pages.bytes = &maker.NewNormal(made, DType::kBF16, count * layout.PageBytes() / 2);
  pages.host_table = &maker.New(made, count * static_cast<int64_t>(sizeof(void*)));
  pages.device_table = &maker.New(made, pages.host_table->bytes());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t page = count - 1 - i;
    pages.host_table->Span<std::byte*>(kHost)[static_cast<size_t>(i)] = pages.bytes->At(kHost) + page * layout.PageBytes();
    pages.device_table->Span<std::byte*>(kHost)[static_cast<size_t>(i)] = pages.bytes->At(kDevice) + page * layout.PageBytes();
  }
  for (int64_t sequence = 0; sequence < sequences; ++sequence) {
    std::byte* const* table = pages.host_table->Span<std::byte*>(kHost).data() + sequence * pages.pages_each;
    for (int64_t position = positions[static_cast<size_t>(sequence)] + 1; position < pages.pages_each * kPagePositions; ++position) {
      std::memset(KeyRow(layout, table, 0, position), 0xFF, static_cast<size_t>(layout.RowBytes()));
    }
  }
  return pages;
}

OpCase DecodeCase(CaseMaker& maker, const AttentionShape& shape) {
  const MlaShape mla = shape.mla;
  const int64_t rows = shape.sequences, latent = mla.heads * mla.pages.latent_dim, rope = mla.heads * mla.pages.rope_dim;
  OpCase made{.shape = std::to_string(mla.heads) + " heads, " + std::to_string(mla.pages.latent_dim) + " + " + std::to_string(mla.pages.rope_dim) +
                       ", contexts up to " + std::to_string(shape.context), .rows = rows, .tolerance = kTolerance};
  std::vector<int32_t> positions;
  double keys = 0;
  for (int64_t i = 0; i < rows; ++i) {
    positions.push_back(i == 0 ? static_cast<int32_t>(shape.context - 1) : static_cast<int32_t>(maker.random() % static_cast<uint32_t>(shape.context)));
    keys += positions.back() + 1;
  }
  made.row_bytes = keys / static_cast<double>(rows) * static_cast<double>(mla.pages.RowBytes()) + static_cast<double>((2 * latent + rope) * 2);
  made.row_flop = keys / static_cast<double>(rows) * 2.0 * static_cast<double>(2 * latent + rope);
  const Pages pages = MakePages(maker, made, mla.pages, positions);
  Array& qa = maker.NewNormal(made, DType::kBF16, rows * latent, 0.3f);
  Array& q_rope = maker.NewNormal(made, DType::kBF16, rows * rope, 0.3f);
  Array& z = maker.New(made, rows * latent * 2);
  Array& host_rows = maker.New(made, rows * static_cast<int64_t>(sizeof(MlaRow)));
  Array& device_rows = maker.New(made, host_rows.bytes());
  for (int64_t i = 0; i < rows; ++i) {
    const auto at = static_cast<size_t>(i);
    host_rows.Span<MlaRow>(kHost)[at] = {pages.host_table->Span<std::byte*>(kHost).data() + i * pages.pages_each, positions[at], static_cast<int32_t>(i)};
    device_rows.Span<MlaRow>(kHost)[at] = {pages.device_table->Span<std::byte*>(kDevice).data() + i * pages.pages_each, positions[at], static_cast<int32_t>(i)};
  }
  made.outputs = {{&z, DType::kBF16, latent}};
  made.on_host = [=, &qa, &q_rope, &z, &host_rows](const Context& context, int64_t count) {
    const HugeBuffer scratch(static_cast<size_t>(MlaDecodeScratchBytes(mla, Threads(context))));
    return MlaDecode(context, {.shape = mla, .rows = host_rows.Span<const MlaRow>(kHost).first(static_cast<size_t>(count)), .qa = qa.Matrix(kHost, DType::kBF16, rows, latent),
                               .q_rope = q_rope.Matrix(kHost, DType::kBF16, rows, rope), .z = z.Matrix(kHost, DType::kBF16, rows, latent), .scratch = scratch.span()});
  };
  Array& scratch = maker.New(made, maker.device == nullptr ? 0 : MlaDecodeDeviceScratchBytes(mla, rows, shape.context));
  made.on_device = [=, &qa, &q_rope, &z, &device_rows, &scratch](DeviceStream& stream, int64_t count) {
    return MlaDecode(stream, {.shape = mla, .rows = device_rows.Span<const MlaRow>(kDevice).first(static_cast<size_t>(count)), .positions_max = shape.context,
                              .qa = qa.Matrix(kDevice, DType::kBF16, rows, latent), .q_rope = q_rope.Matrix(kDevice, DType::kBF16, rows, rope),
                              .z = z.Matrix(kDevice, DType::kBF16, rows, latent), .scratch = scratch.Span<std::byte>(kDevice)});
  };
  return made;
}

// Rows of one sequence, a chunk in its middle.
OpCase PrefillCase(CaseMaker& maker, const MlaShape& mla, int64_t first_position, int64_t rows) {
  const int64_t nope = mla.heads * mla.nope_dim, rope = mla.heads * mla.pages.rope_dim, values = mla.heads * mla.value_dim;
  const double keys = static_cast<double>(first_position) + static_cast<double>(rows) / 2;
  OpCase made{.shape = std::to_string(mla.heads) + " heads of " + std::to_string(mla.nope_dim) + " + " + std::to_string(mla.pages.rope_dim) + ", from position " +
                       std::to_string(first_position), .rows = rows, .tolerance = kTolerance,
              .row_bytes = static_cast<double>((nope + rope + values) * 2), .row_flop = keys * 2.0 * static_cast<double>(nope + rope + values)};
  const Pages pages = MakePages(maker, made, mla.pages, {static_cast<int32_t>(first_position + rows - 1)});
  const auto kv_b = std::make_shared<CaseWeights>(maker, made, DType::kF8E4M3, nope + values, mla.pages.latent_dim);
  std::vector<PackedMatrix> uk, uv;
  for (int64_t head = 0; head < mla.heads; ++head) {
    const int64_t first = head * (mla.nope_dim + mla.value_dim);
    uk.push_back(kv_b->Pack(first, mla.nope_dim));
    uv.push_back(kv_b->Pack(first + mla.nope_dim, mla.value_dim));
  }
  Array& q_nope = maker.NewNormal(made, DType::kBF16, rows * nope);
  Array& q_rope = maker.NewNormal(made, DType::kBF16, rows * rope);
  Array& out = maker.New(made, rows * values * 2);
  Array& scratch = maker.New(made, maker.device == nullptr ? 0 : MlaPrefillDeviceScratchBytes(mla, rows));
  made.outputs = {{&out, DType::kBF16, values}};
  made.on_host = [=, &q_nope, &q_rope, &out](const Context& context, int64_t count) {
    std::vector<MlaRow> chunk;
    for (int64_t i = 0; i < count; ++i) chunk.push_back({pages.host_table->Span<std::byte*>(kHost).data(), static_cast<int32_t>(first_position + i), static_cast<int32_t>(i)});
    const HugeBuffer space(static_cast<size_t>(MlaPrefillScratchBytes(mla, rows, Threads(context))));
    return MlaPrefill(context, {.shape = mla, .rows = chunk, .q_nope = q_nope.Matrix(kHost, DType::kBF16, rows, nope), .q_rope = q_rope.Matrix(kHost, DType::kBF16, rows, rope),
                                .uk = uk, .uv = uv, .out = out.Matrix(kHost, DType::kBF16, rows, values), .rows_max = rows, .scratch = space.span()});
  };
  made.on_device = [=, &q_nope, &q_rope, &out, &scratch](DeviceStream& stream, int64_t count) {
    const DevicePrefillRun run = {pages.device_table->Span<std::byte*>(kDevice).data(), static_cast<int32_t>(first_position), 0, static_cast<int32_t>(count)};
    return MlaPrefill(stream, {.shape = mla, .runs = {&run, 1}, .q_nope = q_nope.Matrix(kDevice, DType::kBF16, rows, nope), .q_rope = q_rope.Matrix(kDevice, DType::kBF16, rows, rope),
                               .kv_b = kv_b->on_device(), .out = out.Matrix(kDevice, DType::kBF16, rows, values), .scratch = scratch.Span<std::byte>(kDevice)});
  };
  return made;
}

}  // namespace

void AddAttentionCases(bool family, Cases& cases) {
  const std::vector<std::pair<int64_t, int64_t>> whole = {{1, 4096}, {32, 4096}, {128, 4096}, {8, 16384}}, small = {{66, 130}, {3, 4200}};
  for (const auto& [sequences, context] : family ? whole : small) {
    const AttentionShape shape = {Shape(family), sequences, context};
    cases.push_back({"mla_decode", [=](CaseMaker& maker) { return DecodeCase(maker, shape); }});
  }
  const std::vector<std::pair<int64_t, int64_t>> whole_chunks = {{0, 512}, {4096, 256}}, small_chunks = {{0, 66}, {2040, 20}};
  for (const auto& [first, rows] : family ? whole_chunks : small_chunks) {
    cases.push_back({"mla_prefill", [=, first = first, rows = rows](CaseMaker& maker) { return PrefillCase(maker, Shape(family), first, rows); }});
  }
}

}  // namespace atoll::kernels::check
