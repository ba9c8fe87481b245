#pragma once

// UTF-8 byte by byte: where inside a character a text stands.

#include <cstdint>

namespace atoll::model::grammar {

// Between characters; then: so many bytes are left, or what may come next is narrower because of the first byte.
enum Utf8Place : uint8_t { kBetween = 0, kOneLeft = 1, kTwoLeft = 2, kThreeLeft = 3, kAfterE0 = 4, kAfterEd = 5, kAfterF0 = 6, kAfterF4 = 7 };

// The place after `byte`, or -1: no UTF-8.
int NextUtf8Place(uint8_t place, uint8_t byte);

}  // namespace atoll::model::grammar
