#include "node/numerics_fingerprint.h"

#include <span>
#include <string>
#include <vector>

#include "kernels/combine/combine.h"
#include "kernels/cpu/huge_buffer.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gate_topk/gate_topk.h"
#include "kernels/grouped_experts/grouped_experts.h"
#include "kernels/linear/linear.h"
#include "kernels/mla/mla_decode.h"
#include "kernels/mla/mla_prefill.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "kernels/sampling/sampler.h"
#include "kernels/softmax/logprobs.h"
#include "kernels/swiglu/swiglu.h"
#include "node/packed_shard.h"
#include "node/self_test_data.h"

namespace atoll::node {
namespace {

using kernels::PackedMatrix;

// Small but with what kernels stumble over: odd sizes, ragged scale blocks, more than one segment of keys.
constexpr int64_t kRows = 5, kHidden = 200, kWidth = 130, kExperts = 24, kTopK = 4, kVocabulary = 1003;
constexpr int64_t kHeads = 3, kNope = 18, kRope = 8, kLatent = 40, kValue = 20, kPositions = 1100;

absl::Status Check(const kernels::KernelError& error, const std::string& op) { return FromKernelError(error, "self-test of " + op); }

class SelfTest : public SelfTestData {
 public:
  SelfTest(const kernels::Context& context, DType dtype) : SelfTestData(context), context_(context), dtype_(dtype) {}

  absl::Status Run() {
    ATOLL_RETURN_IF_ERROR(RunLinear());
    ATOLL_RETURN_IF_ERROR(RunRows());
    ATOLL_RETURN_IF_ERROR(RunGateAndCombine());
    ATOLL_RETURN_IF_ERROR(RunExperts());
    ATOLL_RETURN_IF_ERROR(RunSampling());
    return RunAttention();
  }

 private:
  absl::Status RunLinear() {
    for (DType weights : {DType::kF8E4M3, DType::kBF16, DType::kF32}) {
      ATOLL_ASSIGN_OR_RETURN(const PackedMatrix packed, Pack(kWidth, kHidden + 1, weights));
      for (int64_t rows : {int64_t{1}, int64_t{7}, int64_t{66}}) {
        const Matrix x = Random(rows, kHidden + 1, dtype_);
        Matrix y = Random(rows, kWidth, DType::kF32), rounded = Zeros(rows, kWidth, dtype_);
        ATOLL_RETURN_IF_ERROR(Check(kernels::Linear(context_, packed, x.view, y.view, kernels::LinearMode::kAdd), "linear"));
        ATOLL_RETURN_IF_ERROR(Check(kernels::Linear(context_, packed, x.view, rounded.view), "linear"));
        Hash(y);
        Hash(rounded);
      }
    }
    return absl::OkStatus();
  }

  absl::Status RunRows() {
    const Matrix x = Random(kRows, kHidden, DType::kF32), up = Random(kRows, kHidden, DType::kF32);
    const std::vector<float> weight = RandomVector(kHidden);
    Matrix normed = Zeros(kRows, kHidden, dtype_), product = Zeros(kRows, kHidden, dtype_), embedded = Zeros(2, kHidden, DType::kF32);
    ATOLL_RETURN_IF_ERROR(Check(kernels::RmsNorm(context_, x.view, weight, 1e-6f, normed.view), "RMSNorm"));
    ATOLL_RETURN_IF_ERROR(Check(kernels::SwiGlu(context_, x.view, up.view, product.view), "SwiGLU"));
    const Matrix table = Random(9, kHidden, DType::kBF16);
    const std::vector<int32_t> tokens{8, 3};
    ATOLL_RETURN_IF_ERROR(Check(kernels::Embedding(context_, table.view, tokens, embedded.view), "embedding"));
    Hash(normed);
    Hash(product);
    Hash(embedded);
    return absl::OkStatus();
  }

  absl::Status RunGateAndCombine() {
    const Matrix logits = Random(kRows, kExperts, DType::kF32);
    const std::vector<float> bias = RandomVector(kExperts);
    std::vector<int32_t> experts(kRows * kTopK);
    std::vector<float> weights(kRows * kTopK);
    std::vector<uint8_t> non_finite(kRows);
    const kernels::GateParams params{.groups = 4, .groups_kept = 2, .experts_per_token = kTopK, .scaling = 2.5f};
    kernels::GateTopKArgs gate{.logits = logits.view, .bias = bias, .params = params,
                               .experts = experts, .weights = weights, .non_finite = non_finite};
    ATOLL_RETURN_IF_ERROR(Check(kernels::GateTopK(context_, gate), "the gate"));
    const Matrix results = Random(kRows * kTopK, kHidden, dtype_), shared = Random(kRows, kHidden, DType::kF32);
    Matrix residual = Random(kRows, kHidden, DType::kF32);
    std::vector<const void*> rows;
    for (int64_t row = 0; row < kRows * kTopK; ++row) rows.push_back(results.view.Row(row));
    kernels::CombineArgs combine{.slots = kTopK, .expert_rows = rows, .expert_dtype = dtype_, .weights = weights,
                                 .shared = shared.view, .residual = residual.view, .non_finite = non_finite};
    ATOLL_RETURN_IF_ERROR(Check(kernels::Combine(context_, combine), "combine"));
    HashAll(experts);
    HashAll(weights);
    Hash(residual);
    return absl::OkStatus();
  }

  absl::Status RunExperts() {
    std::vector<kernels::ExpertGroup> groups(2);
    for (size_t g = 0; g < groups.size(); ++g) {
      ATOLL_ASSIGN_OR_RETURN(groups[g].gate, Pack(kWidth, kHidden, DType::kF8E4M3));
      ATOLL_ASSIGN_OR_RETURN(groups[g].up, Pack(kWidth, kHidden, DType::kF8E4M3));
      ATOLL_ASSIGN_OR_RETURN(groups[g].down, Pack(kHidden, kWidth, DType::kF8E4M3));
      groups[g].first_pair = g == 0 ? 0 : 1;
      groups[g].pair_count = g == 0 ? 1 : 3;
    }
    const Matrix x = Random(kRows, kHidden, dtype_);
    Matrix out = Zeros(4, kHidden, dtype_);
    const std::vector<int32_t> pair_row{4, 0, 2, 4};
    kernels::GroupedExperts experts({.pairs_max = 4, .intermediate_max = kWidth});
    ATOLL_RETURN_IF_ERROR(Check(experts.Run(context_, groups, x.view, pair_row, out.view), "grouped experts"));
    Hash(out);
    return absl::OkStatus();
  }

  absl::Status RunSampling() {
    const Matrix logits = Random(kRows, kVocabulary, DType::kF32);
    std::vector<kernels::LogNormalizer> normalizers(kRows);
    ATOLL_RETURN_IF_ERROR(Check(kernels::LogNormalizers(context_, logits.view, normalizers), "softmax"));
    std::vector<float> sums;
    for (const kernels::LogNormalizer& normalizer : normalizers) sums.insert(sums.end(), {normalizer.max, normalizer.log_sum});
    kernels::SamplingParams params;
    params.temperature = 1.3f;
    params.top_p = 0.95f;
    params.seed = 77;
    std::vector<kernels::SamplingRow> rows;
    for (uint32_t row = 0; row < kRows; ++row)
      rows.push_back({.logits = {logits.view.RowAs<float>(row), kVocabulary}, .params = &params,
                      .sequence_index = row, .position = 9 * row});
    std::vector<kernels::SampledToken> tokens(kRows);
    kernels::Sampler sampler(kVocabulary, kernels::Threads(context_));
    ATOLL_RETURN_IF_ERROR(Check(sampler.Run(context_, rows, tokens), "sampling"));
    std::vector<int32_t> ids;
    for (const kernels::SampledToken& token : tokens) ids.push_back(token.token);
    HashAll(sums);
    HashAll(ids);
    return absl::OkStatus();
  }

  // Queries of the last rows of a sequence over its pages, in both forms.
  absl::Status RunAttention() {
    const kernels::PageLayout layout{1, kLatent, kRope, dtype_};
    const kernels::MlaShape shape{.heads = kHeads, .nope_dim = kNope, .value_dim = kValue, .pages = layout, .scale = 0.2f};
    kernels::RopeTable rope;
    kernels::RopeParams params;
    params.dim = kRope;
    params.positions_max = 2048;
    params.yarn = true;
    params.yarn_params = {.factor = 8, .original_positions = 256, .mscale = 1, .mscale_all_dim = 1};
    ATOLL_RETURN_IF_ERROR(Check(kernels::RopeTable::Make(params, &rope), "RoPE"));
    std::vector<std::byte*> pages;
    const int64_t page_count = kernels::PageIndex(kPositions - 1) + 1;
    const kernels::HugeBuffer memory(static_cast<size_t>(layout.PageBytes() * page_count));
    for (int64_t page = 0; page < page_count; ++page) pages.push_back(memory.data() + page * layout.PageBytes());
    ATOLL_RETURN_IF_ERROR(WriteKeys(shape, rope, pages));
    Hash(memory.span());
    return Attend(shape, rope, pages);
  }

  absl::Status WriteKeys(const kernels::MlaShape& shape, const kernels::RopeTable& rope, const std::vector<std::byte*>& pages) {
    const Matrix kv_a = Random(kPositions, kLatent + kRope, DType::kF32);
    const std::vector<float> weight = RandomVector(kLatent);
    std::vector<int32_t> positions;
    std::vector<std::byte*> key_rows;
    for (int32_t position = 0; position < kPositions; ++position) {
      positions.push_back(position);
      key_rows.push_back(kernels::KeyRow(shape.pages, pages.data(), 0, position));
    }
    return Check(kernels::WriteKeys(context_, rope, {.kv_a = kv_a.view, .positions = positions, .latent_weight = weight,
                                                               .dtype = dtype_, .key_rows = key_rows}),
                           "keys");
  }

  absl::Status Attend(const kernels::MlaShape& shape, const kernels::RopeTable& rope, const std::vector<std::byte*>& pages) {
    const std::vector<int32_t> positions{0, 63, 64, 1024, kPositions - 1};
    const Matrix q = Random(kRows, kHeads * (kNope + kRope), DType::kF32), qa = Random(kRows, kHeads * kLatent, dtype_);
    Matrix q_nope = Zeros(kRows, kHeads * kNope, dtype_), q_rope = Zeros(kRows, kHeads * kRope, dtype_);
    const kernels::RotateQueriesArgs rotate{.q = q.view, .positions = positions, .heads = kHeads, .nope_dim = kNope,
                                            .q_nope = q_nope.view, .q_rope = q_rope.view};
    ATOLL_RETURN_IF_ERROR(Check(kernels::RotateQueries(context_, rope, rotate), "RoPE"));
    std::vector<kernels::MlaRow> rows;
    for (int32_t row = 0; row < kRows; ++row) rows.push_back({pages.data(), positions[row], row});
    std::vector<PackedMatrix> uk(kHeads), uv(kHeads);
    for (int64_t head = 0; head < kHeads; ++head) {
      ATOLL_ASSIGN_OR_RETURN(uk[head], Pack(kNope, kLatent, DType::kF8E4M3));
      ATOLL_ASSIGN_OR_RETURN(uv[head], Pack(kValue, kLatent, DType::kF8E4M3));
    }
    Matrix z = Zeros(kRows, kHeads * kLatent, dtype_), out = Zeros(kRows, kHeads * kValue, dtype_);
    const int threads = kernels::Threads(context_);
    const kernels::HugeBuffer decode(static_cast<size_t>(kernels::MlaDecodeScratchBytes(shape, threads)));
    const kernels::HugeBuffer prefill(static_cast<size_t>(kernels::MlaPrefillScratchBytes(shape, kRows, threads)));
    const kernels::MlaDecodeArgs absorbed{.shape = shape, .rows = rows, .qa = qa.view, .q_rope = q_rope.view,
                                          .z = z.view, .scratch = decode.span()};
    ATOLL_RETURN_IF_ERROR(Check(kernels::MlaDecode(context_, absorbed), "MLA, decode form"));
    const kernels::MlaPrefillArgs naive{.shape = shape, .rows = rows, .q_nope = q_nope.view, .q_rope = q_rope.view,
                                        .uk = uk, .uv = uv, .out = out.view, .rows_max = kRows, .scratch = prefill.span()};
    ATOLL_RETURN_IF_ERROR(Check(kernels::MlaPrefill(context_, naive), "MLA, prefill form"));
    for (const Matrix* matrix : {&q_nope, &q_rope, &z, &out}) Hash(*matrix);
    return absl::OkStatus();
  }

  const kernels::Context context_;
  const DType dtype_;
};

}  // namespace

absl::StatusOr<uint64_t> NumericsFingerprint(const kernels::Context& context, DType activation_dtype) {
  SelfTest test(context, activation_dtype);
  ATOLL_RETURN_IF_ERROR(test.Run());
  return test.hash();
}

}  // namespace atoll::node
