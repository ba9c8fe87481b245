// Against two independent implementations (../shared/models/README.md): float32 activations prove the formulas, bfloat16 is
// what is served.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/attention_node/forward_pass.h"
#include "tests/attention_node/reference_file.h"

namespace atoll::attention_node {
namespace {

const std::string kShared = std::string(ATOLL_SOURCE_DIR) + "/../shared/models/";

struct Difference {
  double max = 0, rms = 0, kl = 0;
  bool same_choice = true;
  double gap = 0;  // the reference's, between its first two
};

double LogSum(const float* logits, size_t count) {
  const double max = *std::max_element(logits, logits + count);
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += std::exp(logits[i] - max);
  return max + std::log(sum);
}

Difference Compare(const float* reference, const std::vector<float>& ours) {
  Difference difference;
  const size_t count = ours.size();
  const double reference_sum = LogSum(reference, count), our_sum = LogSum(ours.data(), count);
  size_t first = 0;
  double squares = 0;
  for (size_t i = 0; i < count; ++i) {
    const double apart = static_cast<double>(reference[i]) - ours[i];
    difference.max = std::max(difference.max, std::abs(apart));
    squares += apart * apart;
    difference.kl += std::exp(reference[i] - reference_sum) * ((reference[i] - reference_sum) - (ours[i] - our_sum));
    if (reference[i] > reference[first]) first = i;
  }
  float second = -1e30f;
  for (size_t i = 0; i < count; ++i) {
    if (i != first) second = std::max(second, reference[i]);
  }
  difference.rms = std::sqrt(squares / static_cast<double>(count));
  difference.gap = reference[first] - second;
  difference.same_choice = static_cast<size_t>(std::max_element(ours.begin(), ours.end()) - ours.begin()) == first;
  return difference;
}

double Mean(std::vector<double> values, double nearest) {
  std::sort(values.begin(), values.end());
  const size_t count = static_cast<size_t>(std::ceil(static_cast<double>(values.size()) * nearest));
  return std::accumulate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count), 0.0) / static_cast<double>(count);
}

class Reference : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kShared + "reference")) GTEST_SKIP() << kShared << "reference is not there";
    file_.emplace(kShared + "reference/" + GetParam() + "/logits.safetensors");
    std::ifstream outputs(kShared + "reference/" + GetParam() + "/outputs.json");
    outputs_ = nlohmann::json::parse(outputs);
  }

  std::unique_ptr<ForwardPass> Load(DType dtype) {
    kernels::ComputePoolOptions options;
    pool_ = std::make_unique<kernels::ComputePool>(options);
    auto pass = ForwardPass::Load(kShared + GetParam(), {dtype, {kernels::DetectIsa(), pool_.get()}, 512});
    EXPECT_TRUE(pass.ok()) << pass.status();
    return pass.ok() ? *std::move(pass) : nullptr;
  }

  // Runs prompt `name` with its own split into classes; `long` is all prompt unless `generated`.
  ForwardTrace Trace(ForwardPass& pass, const std::string& name, bool generated = false) const {
    ForwardRun run;
    run.tokens = file_->Read<int32_t>(name + ".input_ids");
    run.prompt_count = generated ? 1 : static_cast<int32_t>(run.tokens.size());
    if (name != "long") run.prompt_count = static_cast<int32_t>(outputs_["prompts"][std::stoi(name)]["prompt_ids"].size());
    return pass.Run(run);
  }

  std::vector<std::string> Prompts() const {
    std::vector<std::string> names;
    for (int i = 0; file_->Has(absl::StrCat(i, ".logits")); ++i) names.push_back(absl::StrCat(i));
    return names;
  }

  // Of every position that the reference has logits for.
  std::vector<Difference> Differences(const std::string& name, const ForwardTrace& trace) const {
    const std::vector<float> reference = file_->Read<float>(name + ".logits");
    std::vector<int32_t> positions(reference.size() / trace.vocabulary);
    std::iota(positions.begin(), positions.end(), 0);
    if (file_->Has(name + ".positions")) positions = file_->Read<int32_t>(name + ".positions");
    std::vector<Difference> differences;
    for (size_t i = 0; i < positions.size(); ++i) {
      differences.push_back(Compare(reference.data() + i * trace.vocabulary, trace.logits[positions[i]]));
    }
    return differences;
  }

  double MeanNll(const ForwardTrace& trace, const std::vector<int32_t>& tokens) const {
    double sum = 0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) sum += LogSum(trace.logits[i].data(), trace.logits[i].size()) - trace.logits[i][tokens[i + 1]];
    return sum / static_cast<double>(tokens.size() - 1);
  }

  std::optional<ReferenceFile> file_;
  nlohmann::json outputs_;
  std::unique_ptr<kernels::ComputePool> pool_;
};

TEST_P(Reference, Float32LogitsAreWithin2e3) {
  const std::unique_ptr<ForwardPass> pass = Load(DType::kF32);
  ASSERT_NE(pass, nullptr);
  std::vector<std::string> names = Prompts();
  ASSERT_GT(names.size(), 4u);
  double max = 0;
  const auto check = [&](const std::string& name, const ForwardTrace& trace) {
    int row = 0;
    for (const Difference& difference : Differences(name, trace)) {
      EXPECT_LE(difference.max, 2e-3) << "prompt " << name << ", row " << row;
      EXPECT_TRUE(difference.same_choice || difference.gap <= 4e-3) << "prompt " << name << ", row " << row;
      max = std::max(max, difference.max);
      ++row;
    }
  };
  for (const std::string& name : names) check(name, Trace(*pass, name));
  check("long", Trace(*pass, "long"));
  check("long", Trace(*pass, "long", true));
  RecordProperty("max_logit_difference", absl::StrCat(max));
  std::printf("%s float32: largest logit difference %.2e\n", GetParam().c_str(), max);
}

TEST_P(Reference, Float32HiddenStatesAndGatesAgree) {
  const std::unique_ptr<ForwardPass> pass = Load(DType::kF32);
  ASSERT_NE(pass, nullptr);
  const ForwardTrace trace = Trace(*pass, "0");
  for (size_t layer = 0; layer < trace.hidden.size(); ++layer) {
    const std::vector<float> reference = file_->Read<float>(absl::StrCat("0.hidden.", layer));
    ASSERT_EQ(reference.size(), trace.hidden[layer].size());
    double max = 0;
    for (size_t i = 0; i < reference.size(); ++i) max = std::max(max, std::abs(static_cast<double>(reference[i]) - trace.hidden[layer][i]));
    EXPECT_LE(max, 2e-3) << "hidden " << layer;
  }
  const int64_t k = trace.experts_per_token;
  for (int64_t layer = pass->config().first_k_dense_replace; layer < pass->config().num_hidden_layers; ++layer) {
    const std::vector<int32_t> experts = file_->Read<int32_t>(absl::StrCat("0.gate.", layer, ".experts"));
    const std::vector<float> weights = file_->Read<float>(absl::StrCat("0.gate.", layer, ".weights"));
    const std::vector<float> gap = file_->Read<float>(absl::StrCat("0.gate.", layer, ".gap"));
    for (size_t row = 0; row < gap.size(); ++row) {
      if (gap[row] <= 1e-5f) continue;
      std::map<int32_t, float> expected, found;
      for (int64_t slot = 0; slot < k; ++slot) {
        expected[experts[row * k + slot]] = weights[row * k + slot];
        found[trace.experts[layer][row * k + slot]] = trace.expert_weights[layer][row * k + slot];
      }
      for (const auto& [expert, weight] : expected) {
        ASSERT_TRUE(found.contains(expert)) << "layer " << layer << ", position " << row << ", expert " << expert;
        EXPECT_NEAR(found[expert], weight, 1e-3) << "layer " << layer << ", position " << row;
      }
    }
  }
}

TEST_P(Reference, ServedArithmeticIsWithinTheStatedMeans) {
  const std::unique_ptr<ForwardPass> pass = Load(DType::kBF16);
  ASSERT_NE(pass, nullptr);
  std::vector<double> rms, kl;
  int other_choice = 0;
  const auto add = [&](const std::string& name, const ForwardTrace& trace) {
    for (const Difference& difference : Differences(name, trace)) {
      rms.push_back(difference.rms), kl.push_back(difference.kl);
      if (difference.gap > 0.5 && !difference.same_choice) ++other_choice;
    }
  };
  for (const std::string& name : Prompts()) add(name, Trace(*pass, name));
  const ForwardTrace trace = Trace(*pass, "long");
  add("long", trace);
  const ForwardTrace generated = Trace(*pass, "long", true);
  add("long", generated);
  const std::vector<int32_t> tokens = file_->Read<int32_t>("long.input_ids");
  const double nll = MeanNll(trace, tokens);
  EXPECT_NEAR(MeanNll(generated, tokens), outputs_["long_mean_nll"].get<double>(), 0.01);
  std::printf("%s bfloat16: rms %.4f, nearest 98 %% %.4f; KL %.5f, nearest 98 %% %.5f; nll %.4f of %.4f; %zu positions\n",
              GetParam().c_str(), Mean(rms, 1), Mean(rms, 0.98), Mean(kl, 1), Mean(kl, 0.98), nll,
              outputs_["long_mean_nll"].get<double>(), rms.size());
  EXPECT_LE(Mean(rms, 1), 0.035);
  EXPECT_LE(Mean(rms, 0.98), 0.020);
  EXPECT_LE(Mean(kl, 1), 0.003);
  EXPECT_LE(Mean(kl, 0.98), 0.0004);
  EXPECT_NEAR(nll, outputs_["long_mean_nll"].get<double>(), 0.01);
  EXPECT_LE(other_choice, 0.002 * static_cast<double>(rms.size()));
}

INSTANTIATE_TEST_SUITE_P(Tales, Reference, testing::Values("tales-fp8", "tales-bf16"), [](const auto& test) {
  return test.param == "tales-fp8" ? std::string("Fp8") : std::string("Bf16");
});

}  // namespace
}  // namespace atoll::attention_node
