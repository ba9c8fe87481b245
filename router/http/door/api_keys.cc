#include "router/http/door/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace atoll::router::http {
namespace {

constexpr size_t kKeysMax = 10000;
constexpr size_t kKeyBytesMin = 8;
constexpr std::string_view kDigestPrefix = "sha256:";
constexpr std::string_view kScheme = "bearer ";

std::array<unsigned char, 32> DigestOf(std::string_view key) {
  std::array<unsigned char, 32> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

std::string_view Trim(std::string_view text) {
  const auto is_space = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

}  // namespace

absl::StatusOr<ApiKeys> ApiKeys::Load(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  if (!in || !(text << in.rdbuf())) return absl::InvalidArgumentError(absl::StrCat("--api-key-file: cannot read ", file, ", or it is empty"));
  return Parse(text.str(), file);
}

absl::StatusOr<ApiKeys> ApiKeys::Parse(std::string_view text, const std::string& file) {
  ApiKeys keys;
  int number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const auto wrong = [&](const char* sentence) {
      return absl::InvalidArgumentError(absl::StrCat("--api-key-file: ", file, " line ", number, ": ", sentence));
    };
    if (keys.digests_.size() >= kKeysMax) return wrong("too many keys");
    if (line.starts_with(kDigestPrefix)) {
      const std::string_view hex = line.substr(kDigestPrefix.size());
      if (hex.size() != 64 || !IsHex(hex)) return wrong("expected 64 hexadecimal digits after sha256:");
      const std::string bytes = absl::HexStringToBytes(std::string(hex));
      std::copy(bytes.begin(), bytes.end(), keys.digests_.emplace_back().begin());
      continue;
    }
    if (line.size() < kKeyBytesMin || line.find_first_of(" \t") != std::string_view::npos) return wrong("a key has at least 8 characters and no blanks");
    keys.digests_.push_back(DigestOf(line));
  }
  if (keys.empty()) return absl::InvalidArgumentError(absl::StrCat("--api-key-file: ", file, " holds no key"));
  return keys;
}

bool ApiKeys::Allows(std::string_view authorization) const {
  if (digests_.empty()) return true;
  const bool bearer = authorization.size() > kScheme.size() && std::equal(kScheme.begin(), kScheme.end(), authorization.begin(), [](char a, char b) {
                        return a == std::tolower(static_cast<unsigned char>(b));
                      });
  const Digest digest = DigestOf(bearer ? Trim(authorization.substr(kScheme.size())) : std::string_view());
  int found = 0;
  for (const Digest& known : digests_) found |= CRYPTO_memcmp(known.data(), digest.data(), digest.size()) == 0 ? 1 : 0;
  return bearer && found != 0;
}

}  // namespace atoll::router::http
