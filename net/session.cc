#include "net/session.h"

#include <sys/random.h>

#include "base/check.h"
#include "net/little_endian.h"

namespace atoll::net {
namespace {

absl::Status Differs(const char* field, uint64_t ours, uint64_t theirs) {
  return absl::FailedPreconditionError(
      absl::StrCat("session: the peer's ", field, " is ", theirs, ", this node's is ", ours, "; start both with the same model and options"));
}

}  // namespace

absl::Status CheckTerms(const SessionTerms& terms) {
  if (terms.window == 0 || terms.window > kWindowMax) {
    return absl::InvalidArgumentError(absl::StrCat("session: window is ", terms.window, ", expected 1 to ", kWindowMax));
  }
  return CheckLimits(terms.limits);
}

absl::Status MatchTerms(const SessionTerms& ours, const SessionTerms& theirs) {
  const FrameLimits& a = ours.limits;
  const FrameLimits& b = theirs.limits;
  const struct { const char* field; uint64_t ours, theirs; } fields[] = {
      {"model fingerprint", ours.model_fingerprint, theirs.model_fingerprint},
      {"numerics fingerprint", ours.numerics_fingerprint, theirs.numerics_fingerprint},
      {"hidden size", a.hidden_size, b.hidden_size},
      {"row dtype", static_cast<uint64_t>(a.row_dtype), static_cast<uint64_t>(b.row_dtype)},
      {"result dtype", static_cast<uint64_t>(a.result_dtype), static_cast<uint64_t>(b.result_dtype)},
      {"layer count", a.layers, b.layers},
      {"expert count", a.experts, b.experts},
      {"rows per part", a.rows_max, b.rows_max},
      {"pairs per part", a.pairs_max, b.pairs_max},
      {"bytes per part", a.part_bytes, b.part_bytes},
      {"window", ours.window, theirs.window}};
  for (const auto& field : fields) {
    if (field.ours != field.theirs) return Differs(field.field, field.ours, field.theirs);
  }
  return absl::OkStatus();
}

void EncodeTerms(const SessionTerms& terms, std::span<std::byte, kTermsBytes> out) {
  std::byte* to = out.data();
  StoreLittle(to, terms.model_fingerprint);
  StoreLittle(to + 8, terms.numerics_fingerprint);
  StoreLittle(to + 16, terms.limits.hidden_size);
  StoreLittle(to + 20, terms.limits.layers);
  StoreLittle(to + 24, terms.limits.experts);
  StoreLittle(to + 28, terms.limits.rows_max);
  StoreLittle(to + 32, terms.limits.pairs_max);
  StoreLittle(to + 36, terms.limits.part_bytes);
  StoreLittle(to + 40, terms.window);
  StoreLittle(to + 44, terms.limits.row_dtype);
  StoreLittle(to + 45, terms.limits.result_dtype);
  for (size_t i = 46; i < kTermsBytes; ++i) to[i] = std::byte{0};
}

absl::StatusOr<SessionTerms> DecodeTerms(std::span<const std::byte> bytes) {
  if (bytes.size() != kTermsBytes) {
    return absl::InvalidArgumentError(absl::StrCat("session terms: ", bytes.size(), " bytes, expected ", kTermsBytes));
  }
  const std::byte* from = bytes.data();
  SessionTerms terms;
  terms.model_fingerprint = LoadLittle<uint64_t>(from);
  terms.numerics_fingerprint = LoadLittle<uint64_t>(from + 8);
  terms.limits.hidden_size = LoadLittle<uint32_t>(from + 16);
  terms.limits.layers = LoadLittle<uint32_t>(from + 20);
  terms.limits.experts = LoadLittle<uint32_t>(from + 24);
  terms.limits.rows_max = LoadLittle<uint32_t>(from + 28);
  terms.limits.pairs_max = LoadLittle<uint32_t>(from + 32);
  terms.limits.part_bytes = LoadLittle<uint32_t>(from + 36);
  terms.window = LoadLittle<uint32_t>(from + 40);
  terms.limits.row_dtype = LoadLittle<DType>(from + 44);
  terms.limits.result_dtype = LoadLittle<DType>(from + 45);
  ATOLL_RETURN_IF_ERROR(CheckTerms(terms));
  return terms;
}

uint64_t RandomNumber() {
  uint64_t number = 0;
  const ssize_t got = getrandom(&number, sizeof number, 0);
  ATOLL_CHECK(got == sizeof number, "getrandom gives 8 bytes");
  return number == 0 ? 1 : number;
}

MacKey RandomKey() {
  MacKey key;
  StoreLittle(key.data(), RandomNumber());
  StoreLittle(key.data() + 8, RandomNumber());
  return key;
}

}  // namespace atoll::net
