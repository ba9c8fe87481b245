#pragma once

// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed 64-bit tag of a short message, about 0.1 us for a frame header.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace atoll::net {

using MacKey = std::array<std::byte, 16>;

uint64_t Mac(std::span<const std::byte> message, const MacKey& key);

}  // namespace atoll::net
