#include "net/session.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/net/link_suite.h"

namespace atoll::net {
namespace {

TEST(SessionTerms, RoundTrip) {
  SessionTerms terms = TestTerms(17);
  terms.limits.row_dtype = DType::kF8E4M3;
  std::array<std::byte, kTermsBytes> bytes;
  EncodeTerms(terms, bytes);
  const auto decoded = DecodeTerms(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, terms);
}

TEST(SessionTerms, HostileBytesAreRefused) {
  std::array<std::byte, kTermsBytes> good;
  EncodeTerms(TestTerms(), good);
  for (size_t length = 0; length < kTermsBytes; ++length) EXPECT_FALSE(DecodeTerms(std::span(good).first(length)).ok());
  for (size_t at : {16, 20, 24, 28, 32, 36, 40, 44, 45}) {
    auto bytes = good;
    bytes[at] = std::byte{0};
    for (size_t i = 1; at < 44 && i < 4; ++i) bytes[at + i] = std::byte{0};
    EXPECT_FALSE(DecodeTerms(bytes).ok()) << at;
  }
}

TEST(SessionTerms, TheFirstDifferenceIsNamed) {
  SessionTerms theirs = TestTerms();
  EXPECT_TRUE(MatchTerms(TestTerms(), theirs).ok());
  theirs.limits.hidden_size = 128;
  const absl::Status status = MatchTerms(TestTerms(), theirs);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("hidden size is 128, this node's is 64"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace atoll::net
