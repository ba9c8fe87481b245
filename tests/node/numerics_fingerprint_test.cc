#include "node/numerics_fingerprint.h"

#include <gtest/gtest.h>

namespace atoll::node {
namespace {

using kernels::Isa;

TEST(NumericsFingerprintTest, IsTheSameForEveryInstructionSetAndNumberOfThreads) {
  kernels::ComputePool pool({.threads = 2});
  for (DType dtype : {DType::kBF16, DType::kF32}) {
    const auto reference = NumericsFingerprint({Isa::kReference, nullptr}, dtype);
    ASSERT_TRUE(reference.ok()) << reference.status();
    for (Isa isa : {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
      if (!kernels::HostSupports(isa)) continue;
      for (kernels::ComputePool* threads : {static_cast<kernels::ComputePool*>(nullptr), &pool}) {
        const auto fingerprint = NumericsFingerprint({isa, threads}, dtype);
        ASSERT_TRUE(fingerprint.ok()) << fingerprint.status();
        EXPECT_EQ(*fingerprint, *reference) << kernels::IsaName(isa) << " " << DTypeName(dtype);
      }
    }
  }
}

TEST(NumericsFingerprintTest, TellsActivationTypesApart) {
  EXPECT_NE(*NumericsFingerprint({Isa::kReference, nullptr}, DType::kBF16), *NumericsFingerprint({Isa::kReference, nullptr}, DType::kF32));
}

}  // namespace
}  // namespace atoll::node
