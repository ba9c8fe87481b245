#include "net/mac.h"

#include <gtest/gtest.h>

#include <vector>

#include "net/crc32c.h"

namespace atoll::net {
namespace {

std::vector<std::byte> Counting(size_t bytes) {
  std::vector<std::byte> message(bytes);
  for (size_t i = 0; i < bytes; ++i) message[i] = static_cast<std::byte>(i);
  return message;
}

// The authors' published vectors: key 00..0f, message 00, 01, 02, ... of the given length.
TEST(Mac, PublishedVectors) {
  MacKey key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
  EXPECT_EQ(Mac({}, key), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(Mac(Counting(8), key), 0x93f5f5799a932462u);
  EXPECT_EQ(Mac(Counting(15), key), 0xa129ca6149be45e5u);
}

TEST(Crc32c, PublishedVectors) {
  const char* digits = "123456789";
  EXPECT_EQ(Crc32c(std::as_bytes(std::span(digits, 9))), 0xE3069283u);
  EXPECT_EQ(Crc32c(std::vector<std::byte>(32)), 0x8A9136AAu);
}

}  // namespace
}  // namespace atoll::net
