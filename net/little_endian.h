#pragma once

// Numbers to and from little-endian bytes at any alignment.

#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace atoll::net {

static_assert(std::endian::native == std::endian::little, "a big-endian host needs byte swaps here");

template <typename T>
void StoreLittle(std::byte* to, T value) {
  static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
  std::memcpy(to, &value, sizeof value);
}

template <typename T>
T LoadLittle(const std::byte* from) {
  static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace atoll::net
