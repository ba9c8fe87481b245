#include "net/mac.h"

#include <bit>
#include <cstring>

namespace atoll::net {
namespace {

uint64_t Load64(const std::byte* from) {
  uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

struct State {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1; v1 = std::rotl(v1, 13); v1 ^= v0; v0 = std::rotl(v0, 32);
    v2 += v3; v3 = std::rotl(v3, 16); v3 ^= v2;
    v0 += v3; v3 = std::rotl(v3, 21); v3 ^= v0;
    v2 += v1; v1 = std::rotl(v1, 17); v1 ^= v2; v2 = std::rotl(v2, 32);
  }
  void Absorb(uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
};

}  // namespace

uint64_t Mac(std::span<const std::byte> message, const MacKey& key) {
  static_assert(std::endian::native == std::endian::little);
  const uint64_t k0 = Load64(key.data());
  const uint64_t k1 = Load64(key.data() + 8);
  State state{k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
  const size_t words = message.size() / 8;
  for (size_t i = 0; i < words; ++i) state.Absorb(Load64(message.data() + 8 * i));
  uint64_t last = static_cast<uint64_t>(message.size()) << 56;
  for (size_t i = words * 8; i < message.size(); ++i) last |= static_cast<uint64_t>(message[i]) << (8 * (i % 8));
  state.Absorb(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.Round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace atoll::net
