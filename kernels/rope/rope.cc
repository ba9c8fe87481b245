#include "kernels/rope/rope.h"

#include <string>

#include "kernels/cpu/row_blocks.h"
#include "kernels/expect.h"
#include "kernels/rms_norm/rms_norm_rows.h"
#include "kernels/rope/rope_checks.h"
#include "kernels/rope/rope_rows.h"

namespace atoll::kernels {

namespace {

struct RowFunctions {
  void (*rotate)(const RopeAngles&, const RopeRow&);
  void (*copy)(const CopyRow&);
};

RowFunctions RowFunctionsOf(Isa isa) {
  switch (isa) {
    case Isa::kReference: return {RotateReference, CopyReference};
    case Isa::kAvx2: return {RotateAvx2, CopyAvx2};
    case Isa::kAvx512:
    case Isa::kAvx512Bf16: return {RotateAvx512, CopyAvx512};
  }
  return {RotateReference, CopyReference};
}

RopeAngles AnglesOf(const RopeTable& table) {
  return {.frequencies = table.frequencies().data(), .pairs = static_cast<int64_t>(table.frequencies().size()),
          .magnitude = table.magnitude(), .interleaved = table.params().interleaved};
}

KernelError ExpectPositions(const RopeTable& table, std::span<const int32_t> positions) {
  for (int32_t position : positions) {
    if (position < 0 || position >= table.params().positions_max) {
      return InvalidValue("position " + std::to_string(position) + " is outside 0 to " +
                          std::to_string(table.params().positions_max - 1));
    }
  }
  return {};
}

}  // namespace

KernelError CheckRotateQueriesShapes(const RopeTable& table, const RotateQueriesArgs& args) {
  const int64_t rope_dim = table.params().dim;
  const int64_t rows = args.q.rows;
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(args.heads >= 0 && args.nope_dim >= 0, "RotateQueries: heads and nope_dim must not be negative"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("RotateQueries' q", args.q, Dtypes::kF32, rows, args.heads * (args.nope_dim + rope_dim)));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("RotateQueries' q_nope", args.q_nope, Dtypes::kF32OrBF16, rows, args.heads * args.nope_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("RotateQueries' q_rope", args.q_rope, Dtypes::kF32OrBF16, rows, args.heads * rope_dim));
  return ExpectSize("positions", args.positions.size(), rows);
}

KernelError CheckWriteKeysShapes(const RopeTable& table, const WriteKeysArgs& args) {
  const int64_t latent_dim = static_cast<int64_t>(args.latent_weight.size());
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectMatrix("WriteKeys' kv_a", args.kv_a, Dtypes::kF32, args.kv_a.rows, latent_dim + table.params().dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectTrue(args.dtype == DType::kBF16 || args.dtype == DType::kF32, "WriteKeys: pages must be bfloat16 or float32"));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectSize("WriteKeys' key_rows", args.key_rows.size(), args.kv_a.rows));
  return ExpectSize("positions", args.positions.size(), args.kv_a.rows);
}

KernelError RotateQueries(const Context& context, const RopeTable& table, const RotateQueriesArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckRotateQueriesShapes(table, args));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectPositions(table, args.positions));
  const RowFunctions run = RowFunctionsOf(context.isa);
  const RopeAngles angles = AnglesOf(table);
  const int64_t head_width = args.nope_dim + table.params().dim;
  ForRows(context, args.q.rows, args.q.cols * 2, [&](int64_t row) {
    const float* q = args.q.RowAs<float>(row);
    run.copy({.x = q, .x_stride = head_width, .heads = args.heads, .width = args.nope_dim,
              .bf16 = args.q_nope.dtype == DType::kBF16, .out = args.q_nope.Row(row)});
    run.rotate(angles, {.x = q + args.nope_dim, .x_stride = head_width, .heads = args.heads,
                        .position = static_cast<float>(args.positions[row]), .bf16 = args.q_rope.dtype == DType::kBF16,
                        .out = args.q_rope.Row(row)});
  });
  return {};
}

KernelError WriteKeys(const Context& context, const RopeTable& table, const WriteKeysArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckWriteKeysShapes(table, args));
  ATOLL_RETURN_IF_KERNEL_ERROR(ExpectPositions(table, args.positions));
  const RmsNormRowFunction norm = RmsNormRowOf(context.isa);
  const RowFunctions run = RowFunctionsOf(context.isa);
  const RopeAngles angles = AnglesOf(table);
  const int64_t latent_dim = static_cast<int64_t>(args.latent_weight.size());
  const bool bf16 = args.dtype == DType::kBF16;
  ForRows(context, args.kv_a.rows, args.kv_a.cols * 2, [&](int64_t row) {
    const float* kv = args.kv_a.RowAs<float>(row);
    std::byte* key = args.key_rows[row];
    norm({.x = kv, .weight = args.latent_weight.data(), .width = latent_dim, .eps = args.latent_eps, .bf16 = bf16, .out = key});
    run.rotate(angles, {.x = kv + latent_dim, .position = static_cast<float>(args.positions[row]), .bf16 = bf16,
                        .out = key + latent_dim * DTypeBytes(args.dtype)});
  });
  return {};
}

}  // namespace atoll::kernels
