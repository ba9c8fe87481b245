#include "kernels/grouped_experts/grouped_experts_cuda.h"

#include "device_weight.h"

namespace atoll::kernels::testing {
namespace {

struct Expert {
  Expert(DType dtype, int64_t hidden, int64_t intermediate, std::mt19937& random)
      : gate(dtype, intermediate, hidden, random), up(dtype, intermediate, hidden, random), down(dtype, hidden, intermediate, random) {}
  TestWeight gate, up, down;
};

struct ExpertsCase {
  DType weight = DType::kF8E4M3, activation = DType::kBF16, out = DType::kBF16;
  int64_t hidden = 64, intermediate = 32, rows = 4;
  std::vector<int64_t> pairs;                // of each group
  std::vector<int64_t> gaps = {};            // pairs of nobody before each group; empty: none
};

class ExpertsData {
 public:
  explicit ExpertsData(const ExpertsCase& c) : x(c.activation, c.rows, c.hidden), case_(c) {
    std::mt19937 random(23);
    for (size_t i = 0; i < c.pairs.size(); ++i) experts.emplace_back(std::make_unique<Expert>(c.weight, c.hidden, c.intermediate, random));
    x.FillNormal(random, c.weight == DType::kF8E4M3 ? 1 : 0.3f);
    int64_t at = 0;
    for (size_t i = 0; i < c.pairs.size(); ++i) {
      at += c.gaps.empty() ? 0 : c.gaps[i];
      first.push_back(at);
      at += c.pairs[i];
    }
    for (int64_t pair = 0; pair < at; ++pair) pair_row.push_back(static_cast<int32_t>(random() % c.rows));
  }
  void RunOnCpu(TestMatrix& out) {
    std::vector<std::unique_ptr<TestPacked>> packed;
    std::vector<ExpertGroup> groups;
    const auto pack = [&](TestWeight& w) { return packed.emplace_back(std::make_unique<TestPacked>(w.Source()))->matrix; };
    for (size_t i = 0; i < experts.size(); ++i) {
      groups.push_back({pack(experts[i]->gate), pack(experts[i]->up), pack(experts[i]->down), first[i], case_.pairs[i]});
    }
    GroupedExperts run({.pairs_max = out.view().rows, .intermediate_max = case_.intermediate});
    ATOLL_EXPECT_OK(run.Run(Context{}, groups, x.view(), pair_row, out.view()));
  }
  void RunOn(DeviceRig& rig, TestMatrix& out) {
    std::vector<DeviceExpertGroup> groups;
    const auto upload = [&](TestWeight& w) {
      const PackSource source = w.Source();
      return UploadWeights(rig, std::span(&source, 1));
    };
    for (size_t i = 0; i < experts.size(); ++i) {
      groups.push_back({upload(experts[i]->gate), upload(experts[i]->up), upload(experts[i]->down), first[i], case_.pairs[i]});
    }
    TestMatrix products(case_.activation, out.view().rows, case_.intermediate);
    DeviceCopy from(rig, x), h(rig, products), to(rig, out);
    DeviceExpertsArgs args = {.weight_dtype = case_.weight, .intermediate = case_.intermediate, .x = from.view(), .out = to.view(), .products = h.view()};
    args.tensor = TensorExperts(groups[0]);
    ATOLL_EXPECT_OK(CheckDeviceGroups(groups, pair_row, args));
    args.groups = rig.Upload(groups);
    args.pair_row = rig.Upload(pair_row);
    ATOLL_EXPECT_OK(RunExperts(rig.stream(), args));
    to.Fetch();
    h.Fetch();
    EXPECT_TRUE(products.PadsUntouched());
  }
  int64_t pairs() const { return static_cast<int64_t>(pair_row.size()); }

  std::vector<std::unique_ptr<Expert>> experts;
  TestMatrix x;
  std::vector<int64_t> first;
  std::vector<int32_t> pair_row;

 private:
  ExpertsCase case_;
};

// The largest |difference| beside the largest |expected| of the pair: h is rounded to bfloat16 on both sides, and a product that another order
// of its sum takes to the other side of a border moves by a whole step.
void Check(const ExpertsCase& c) {
  ExpertsData data(c);
  TestMatrix expected(c.out, data.pairs(), c.hidden), found(c.out, data.pairs(), c.hidden);
  data.RunOnCpu(expected);
  UnderSchedules([&](DeviceRig& rig) {
    TestMatrix out(c.out, data.pairs(), c.hidden);
    data.RunOn(rig, out);
    std::memcpy(found.view().data, out.bytes().data(), out.bytes().size());
    return out.bytes();
  });
  EXPECT_TRUE(found.PadsUntouched());
  const float tolerance = c.activation == DType::kBF16 || c.out == DType::kBF16 ? 1.0f / 64 : 1e-5f;
  for (int64_t pair = 0; pair < data.pairs(); ++pair) {
    float largest = 0;
    for (int64_t i = 0; i < c.hidden; ++i) largest = std::max(largest, std::abs(expected.Get(pair, i)));
    for (int64_t i = 0; i < c.hidden; ++i) {
      if (std::isnan(expected.Get(pair, i))) {   // a pair of nobody: both still poison
        ASSERT_TRUE(std::isnan(found.Get(pair, i)));
        continue;
      }
      ASSERT_NEAR(found.Get(pair, i), expected.Get(pair, i), tolerance * largest) << "pair " << pair << ", column " << i;
    }
  }
}

class ExpertsOnADevice : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Weights, ExpertsOnADevice, ::testing::Values(DType::kF8E4M3, DType::kBF16, DType::kF32),
                         [](const auto& info) { return std::string(DTypeName(info.param)); });

TEST_P(ExpertsOnADevice, GroupsOfAllSizes) {
  Check({.weight = GetParam(), .pairs = {1}});
  Check({.weight = GetParam(), .rows = 9, .pairs = {3, 0, 8, 17, 1}});
  Check({.weight = GetParam(), .hidden = 144, .intermediate = 300, .rows = 40, .pairs = {70, 3}});
  Check({.weight = GetParam(), .hidden = 130, .intermediate = 20, .rows = 5, .pairs = {9, 2}, .gaps = {2, 3}});
}

// More groups than a warp looks through at a time, most of them empty.
TEST_P(ExpertsOnADevice, ManyGroups) {
  ExpertsCase c{.weight = GetParam(), .hidden = 16, .intermediate = 16, .rows = 3, .pairs = std::vector<int64_t>(70, 0)};
  c.pairs[0] = 1, c.pairs[31] = 9, c.pairs[32] = 2, c.pairs[69] = 3;
  Check(c);
}

TEST_P(ExpertsOnADevice, Types) {
  Check({.weight = GetParam(), .activation = DType::kF32, .out = DType::kF32, .pairs = {5, 2}});
  Check({.weight = GetParam(), .activation = DType::kBF16, .out = DType::kF32, .pairs = {5, 2}});
}

TEST_P(ExpertsOnADevice, TheBundledCheckpointsShape) { Check({.weight = GetParam(), .hidden = 256, .intermediate = 64, .rows = 3, .pairs = {1, 2, 1, 3}}); }

// A pair's result depends neither on its group's size nor on its place.
TEST(ExpertsOfADevice, PairsAreIndependent) {
  ExpertsData data({.rows = 6, .pairs = {1}});
  ExpertsCase wide{.rows = 6, .pairs = {1}};
  ExpectRowsIndependent(6, [&](DeviceRig& rig, const std::vector<int32_t>& picks) {
    ExpertsCase c = wide;
    c.pairs = {static_cast<int64_t>(picks.size())};
    ExpertsData batch(c);
    batch.pair_row = picks;
    TestMatrix out(c.out, batch.pairs(), c.hidden);
    batch.RunOn(rig, out);
    std::vector<std::vector<uint8_t>> found;
    for (int64_t i = 0; i < batch.pairs(); ++i) found.push_back(RowBytes(out, out.view(), i));
    return found;
  });
}

TEST(ExpertsOfADevice, GroupsThatDoNotFitAreErrors) {
  ExpertsData data({.rows = 2, .pairs = {3}});
  DeviceRig rig(0);
  const PackSource source = data.experts[0]->gate.Source(), down = data.experts[0]->down.Source();
  const DeviceWeights gate = UploadWeights(rig, std::span(&source, 1)), down_weights = UploadWeights(rig, std::span(&down, 1));
  const DeviceExpertsArgs args = {.intermediate = 32, .x = data.x.view(), .out = {nullptr, DType::kBF16, 3, 64, 64}, .tensor = true};
  std::vector<DeviceExpertGroup> groups = {{gate, gate, down_weights, 0, 3}};
  ATOLL_EXPECT_OK(CheckDeviceGroups(groups, data.pair_row, args));
  DeviceExpertsArgs plain = args;
  plain.tensor = false;
  EXPECT_EQ(CheckDeviceGroups(groups, data.pair_row, plain).code, KernelErrorCode::kInvalidShape);
  groups[0].pair_count = 4;
  EXPECT_EQ(CheckDeviceGroups(groups, data.pair_row, args).code, KernelErrorCode::kInvalidShape);
  groups[0] = {gate, gate, gate, 0, 3};
  EXPECT_EQ(CheckDeviceGroups(groups, data.pair_row, args).code, KernelErrorCode::kInvalidShape);
  groups[0] = {gate, gate, down_weights, 0, 3};
  EXPECT_EQ(CheckDeviceGroups(groups, std::vector<int32_t>{0, 1, 2}, args).code, KernelErrorCode::kInvalidShape);
}

}  // namespace
}  // namespace atoll::kernels::testing
