#include "device_rig.h"
#include "kernels/mla/page_layout.h"
#include "kernels/rope/rope_cuda.h"

namespace atoll::kernels::testing {
namespace {

RopeTable TableOf(int64_t dim, bool interleaved, bool yarn) {
  RopeTable table;
  const RopeParams params = {.theta = 10000, .dim = dim, .positions_max = 4096, .interleaved = interleaved, .yarn = yarn,
                             .yarn_params = {.factor = 40, .original_positions = 4096, .mscale = 1, .mscale_all_dim = 0.5}};
  ATOLL_EXPECT_OK(RopeTable::Make(params, &table));
  return table;
}

class Rope : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, Rope, ::testing::Values(DType::kF32, DType::kBF16), [](const auto& info) { return std::string(DTypeName(info.param)); });

const std::vector<int32_t> kPositions = {0, 1, 17, 4095, 2048};

// tales and the family's large shape.
struct QueryShape {
  int64_t heads, nope, rope;
};

TEST_P(Rope, QueriesHaveTheReferencesBits) {
  for (const QueryShape& shape : {QueryShape{8, 32, 16}, QueryShape{3, 128, 64}, QueryShape{1, 2, 2}}) {
    for (bool interleaved : {true, false}) {
      const RopeTable table = TableOf(shape.rope, interleaved, shape.rope == 64);
      std::mt19937 random(3);
      const int64_t rows = static_cast<int64_t>(kPositions.size());
      TestMatrix q(DType::kF32, rows, shape.heads * (shape.nope + shape.rope));
      q.FillNormal(random);
      TestMatrix nope(GetParam(), rows, shape.heads * shape.nope), rope(GetParam(), rows, shape.heads * shape.rope);
      ATOLL_EXPECT_OK(RotateQueries(Context{}, table, {.q = q.view(), .positions = kPositions, .heads = shape.heads, .nope_dim = shape.nope, .q_nope = nope.view(), .q_rope = rope.view()}));
      UnderSchedules([&](DeviceRig& rig) {
        TestMatrix found_nope(GetParam(), rows, shape.heads * shape.nope), found_rope(GetParam(), rows, shape.heads * shape.rope);
        DeviceCopy from(rig, q), to_nope(rig, found_nope), to_rope(rig, found_rope);
        ATOLL_EXPECT_OK(RotateQueries(rig.stream(), table, {.q = from.view(), .positions = rig.Upload(kPositions), .heads = shape.heads, .nope_dim = shape.nope,
                                                            .q_nope = to_nope.view(), .q_rope = to_rope.view()}));
        to_nope.Fetch();
        to_rope.Fetch();
        EXPECT_TRUE(SameBytes(found_nope.bytes(), nope.bytes()));
        EXPECT_TRUE(SameBytes(found_rope.bytes(), rope.bytes()));
        return found_rope.bytes();
      });
    }
  }
}

// The rotary part to the bit, the latent part within the order of the norm's sum; nothing beside the rows is written.
TEST_P(Rope, KeysAreTheReferences) {
  const int64_t latent = 64, rope = 16, rows = static_cast<int64_t>(kPositions.size());
  const RopeTable table = TableOf(rope, true, true);
  std::mt19937 random(5);
  TestMatrix kv(DType::kF32, rows, latent + rope), expected(GetParam(), rows, latent + rope), found(GetParam(), rows, latent + rope);
  kv.FillNormal(random);
  const std::vector<float> weight = NormalVector(random, latent, 0.1f, 1);
  const auto args = [&](MatrixView from, std::span<const int32_t> positions, std::span<const float> w, std::span<std::byte* const> rows_of) {
    return WriteKeysArgs{.kv_a = from, .positions = positions, .latent_weight = w, .dtype = GetParam(), .key_rows = rows_of};
  };
  const auto addresses = [&](MatrixView matrix) {
    std::vector<std::byte*> all;
    for (int64_t row = 0; row < rows; ++row) all.push_back(matrix.Row(rows - 1 - row));
    return all;
  };
  const std::vector<std::byte*> host_rows = addresses(expected.view());
  ATOLL_EXPECT_OK(WriteKeys(Context{}, table, args(kv.view(), kPositions, weight, host_rows)));
  UnderSchedules([&](DeviceRig& rig) {
    DeviceCopy from(rig, kv), to(rig, found);
    ATOLL_EXPECT_OK(WriteKeys(rig.stream(), table, args(from.view(), rig.Upload(kPositions), rig.Upload(weight), rig.Upload(addresses(to.view())))));
    to.Fetch();
    return found.bytes();
  });
  EXPECT_TRUE(found.PadsUntouched());
  ExpectNear(found, expected, GetParam() == DType::kBF16 ? 1.0f / 128 : 1e-6f, 0);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = latent; i < latent + rope; ++i) EXPECT_EQ(found.Get(row, i), expected.Get(row, i));
  }
}

}  // namespace
}  // namespace atoll::kernels::testing
