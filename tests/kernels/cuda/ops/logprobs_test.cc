#include "kernels/softmax/logprobs_cuda.h"

#include "device_rig.h"

namespace atoll::kernels::testing {
namespace {

constexpr float kTolerance = 2e-6f;   // of a logprob: another order of the sum

TEST(LogprobsOnADevice, AreTheReferencesWithinTheOrderOfTheSum) {
  for (int64_t vocabulary : {1, 5, 1024, 4099}) {
    std::mt19937 random(static_cast<uint32_t>(vocabulary));
    TestMatrix logits(DType::kF32, 3, vocabulary);
    logits.FillNormal(random, 4);
    std::vector<LogNormalizer> expected(3);
    ATOLL_EXPECT_OK(LogNormalizers(Context{}, logits.view(), expected));
    const int64_t wanted = std::min<int64_t>(vocabulary, 20);
    const std::vector<TokenLogprob> found = UnderSchedules([&](DeviceRig& rig) {
      DeviceCopy there(rig, logits);
      const auto normalizers = rig.Room<LogNormalizer>(3);
      const auto top = rig.Room<TokenLogprob>(3 * wanted);
      ATOLL_EXPECT_OK(LogNormalizers(rig.stream(), there.view(), normalizers));
      ATOLL_EXPECT_OK(TopLogprobs(rig.stream(), there.view(), normalizers, wanted, top));
      const std::vector<LogNormalizer> got = rig.Download(normalizers);
      for (int row = 0; row < 3; ++row) {
        EXPECT_TRUE(got[row].finite);
        EXPECT_EQ(got[row].max, expected[row].max);
        EXPECT_NEAR(got[row].log_sum, expected[row].log_sum, kTolerance * std::max(1.0f, expected[row].log_sum));
      }
      return rig.Download(top);
    });
    for (int row = 0; row < 3; ++row) {
      std::vector<TokenLogprob> top(wanted);
      ATOLL_EXPECT_OK(TopLogprobs(std::span(logits.view().RowAs<float>(row), vocabulary), expected[row], top));
      for (int64_t i = 0; i < wanted; ++i) {
        EXPECT_EQ(found[row * wanted + i].token, top[i].token);
        EXPECT_NEAR(found[row * wanted + i].logprob, top[i].logprob, kTolerance * std::max(1.0f, -top[i].logprob));
      }
    }
  }
}

TEST(LogprobsOnADevice, RowsAreIndependent) {
  std::mt19937 random(2);
  TestMatrix logits(DType::kF32, 4, 1100);
  logits.FillNormal(random, 4);
  ExpectRowsIndependent(4, [&](DeviceRig& rig, const std::vector<int32_t>& picks) {
    TestMatrix batch(DType::kF32, static_cast<int64_t>(picks.size()), 1100);
    for (size_t i = 0; i < picks.size(); ++i) std::copy_n(logits.view().RowAs<float>(picks[i]), 1100, batch.view().RowAs<float>(static_cast<int64_t>(i)));
    DeviceCopy there(rig, batch);
    const auto normalizers = rig.Room<LogNormalizer>(picks.size());
    ATOLL_EXPECT_OK(LogNormalizers(rig.stream(), there.view(), normalizers));
    std::vector<std::vector<uint8_t>> rows;
    for (const LogNormalizer& n : rig.Download(normalizers)) {
      std::vector<uint8_t> bytes(2 * sizeof(float));
      std::memcpy(bytes.data(), &n.max, sizeof(float));
      std::memcpy(bytes.data() + sizeof(float), &n.log_sum, sizeof(float));
      rows.push_back(bytes);
    }
    return rows;
  }, {2, 17, 65});
}

TEST(LogprobsOnADevice, EqualLogitsAndRowsThatAreNotFinite) {
  TestMatrix logits(DType::kF32, 2, 40);
  for (int64_t i = 0; i < 40; ++i) logits.Set(0, i, static_cast<float>(i % 3)), logits.Set(1, i, i == 39 ? NAN : 0.0f);
  DeviceRig rig(3);
  DeviceCopy there(rig, logits);
  const auto normalizers = rig.Room<LogNormalizer>(2);
  const auto top = rig.Room<TokenLogprob>(6);
  ATOLL_EXPECT_OK(LogNormalizers(rig.stream(), there.view(), normalizers));
  ATOLL_EXPECT_OK(TopLogprobs(rig.stream(), there.view(), normalizers, 3, top));
  const std::vector<TokenLogprob> found = rig.Download(top);
  EXPECT_EQ(found[0].token, 2);
  EXPECT_EQ(found[1].token, 5);
  EXPECT_EQ(found[2].token, 8);
  EXPECT_FALSE(rig.Download(normalizers)[1].finite);
  EXPECT_EQ(found[3].token, -1);
}

}  // namespace
}  // namespace atoll::kernels::testing
