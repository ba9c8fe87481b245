#include "model/files/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/checkpoint.h"
#include "tests/model/stored_tensors.h"

namespace atoll::model {
namespace {

using testing::HasSubstr;

std::string Prefix(uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> (8 * i));
  return bytes;
}

std::string Entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" + offsets + "]}";
}

void ExpectHeaderRefused(const std::string& header, uint64_t data_bytes, const std::string& part) {
  const auto tensors = ParseSafetensorsHeader(header, data_bytes, {});
  ASSERT_FALSE(tensors.ok()) << header.substr(0, 300);
  EXPECT_EQ(tensors.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tensors.status().message()), HasSubstr(part)) << header.substr(0, 300);
}

// A folder whose weights file is `bytes`.
void ExpectFileRefused(const std::string& bytes, const std::string& part) {
  TinyFolder folder;
  WriteWhole(folder.weights(), bytes);
  const auto checkpoint = Checkpoint::Open(folder.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(checkpoint.status().message()), HasSubstr(part));
  EXPECT_THAT(std::string(checkpoint.status().message()), HasSubstr("model.safetensors"));
}

TEST(Safetensors, ReadsAHeader) {
  const std::string header = "{\"__metadata__\":{\"format\":\"pt\"}," + Entry("b", "F32", "", "12,16") + " , " +
                             Entry("a", "BF16", "2, 3", "0,12") + "," + Entry("none", "U8", "0,7", "12,12") + "}   ";
  const auto tensors = ParseSafetensorsHeader(header, 16, {});
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  ASSERT_EQ(tensors->size(), 3u);
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_THAT((*tensors)[0].shape, testing::ElementsAre(2, 3));
  EXPECT_EQ((*tensors)[1].name, "none");
  EXPECT_EQ((*tensors)[2].name, "b");
  EXPECT_TRUE((*tensors)[2].shape.empty());
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  const std::vector<SafetensorsTensor> tensors = {
      {.name = "a\"\\\n\xc3\xa9", .type = StoredType::kBF16, .shape = {3, 5}},
      {.name = "b", .type = StoredType::kF8E8M0, .shape = {2}}};
  const std::string file = MakeSafetensorsHeader(tensors);
  EXPECT_EQ(file.size() % 8, 0u);
  const auto read = ParseSafetensorsHeader(file.substr(8), 32, {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)[0].name, tensors[0].name);
  EXPECT_EQ((*read)[1].type, StoredType::kF8E8M0);
}

TEST(Safetensors, B38_HeaderLengthThatCannotBe) {
  ExpectFileRefused("", "at least 8 bytes");
  ExpectFileRefused("1234567", "at least 8 bytes");
  ExpectFileRefused(Prefix(0) + "{}", "length 0");
  ExpectFileRefused(Prefix(uint64_t{1} << 63) + "{}", "9223372036854775808");
  ExpectFileRefused(Prefix(~uint64_t{0}) + "{}", "18446744073709551615");
  ExpectFileRefused(Prefix(3) + "{}", "length 3");
  ExpectFileRefused(Prefix(4) + "[  ]", "begin with '{'");
  ExpectFileRefused(Prefix(4) + " {} ", "begin with '{'");
}

// Cut at every length: an error each time, and none mentions success.
TEST(Safetensors, B38_TruncatedHeaderAtEveryLength) {
  const std::string header = "{" + Entry("a", "BF16", "2,3", "0,12") + "}";
  for (size_t length = 0; length < header.size(); ++length)
    EXPECT_FALSE(ParseSafetensorsHeader(header.substr(0, length), 12, {}).ok()) << length;
  EXPECT_TRUE(ParseSafetensorsHeader(header, 12, {}).ok());
}

TEST(Safetensors, B39_ShapeProductThatWraps) {
  ExpectHeaderRefused("{" + Entry("a", "U8", "4194305,4194305,211106198978564", "0,4") + "}", 4, "exceeds 64 bits");
  ExpectHeaderRefused("{" + Entry("a", "F32", "4611686018427387,4611686018427387", "0,4") + "}", 4, "exceeds 64 bits");
}

TEST(Safetensors, B40_OffsetsThatDoNotCoverTheDataOnce) {
  ExpectHeaderRefused("{" + Entry("a", "U8", "4", "4,0") + "}", 4, "inside the 4 bytes");
  ExpectHeaderRefused("{" + Entry("a", "U8", "8", "0,8") + "}", 4, "inside the 4 bytes");
  ExpectHeaderRefused("{" + Entry("a", "U8", "4", "0,4") + "," + Entry("b", "U8", "4", "2,6") + "}", 6, "overlaps");
  ExpectHeaderRefused("{" + Entry("a", "U8", "4", "0,4") + "," + Entry("b", "U8", "4", "0,4") + "}", 4, "overlaps");
  ExpectHeaderRefused("{" + Entry("a", "U8", "2", "0,2") + "," + Entry("b", "U8", "2", "4,6") + "}", 6, "hole");
  ExpectHeaderRefused("{" + Entry("a", "U8", "2", "2,4") + "}", 4, "hole");
  ExpectHeaderRefused("{" + Entry("a", "U8", "2", "0,2") + "}", 4, "cover 2 of 4");
  ExpectHeaderRefused("{" + Entry("a", "U8", "1", "9007199254740992,9007199254740993") + "}", 4, "2^53");
  ExpectHeaderRefused("{}", 4, "cover 0 of 4");
}

TEST(Safetensors, B41_ShapeAndBytesThatDiffer) {
  ExpectHeaderRefused("{" + Entry("a", "F32", "1000000", "0,4") + "}", 4, "4000000 bytes");
  ExpectHeaderRefused("{" + Entry("a", "BF16", "2", "0,2") + "}", 2, "4 bytes");
}

TEST(Safetensors, B42_FieldsThatAreNotWhatTheyMustBe) {
  for (const char* dtype : {"F4", "F6_E2M3", "bf16", "", "F128"})
    ExpectHeaderRefused("{" + Entry("a", dtype, "1", "0,1") + "}", 1, "unknown dtype");
  for (const char* number :
       {"-1", "1.0", "1e0", "01", "9007199254740993", "99999999999999999999999", "null", "\"1\"", "[1]", ""}) {
    ExpectHeaderRefused("{" + Entry("a", "U8", "1", std::string("0,") + number) + "}", 1, "expected");
  }
  for (const char* size : {"-1", "1.0", "1e0", "01", "9007199254740993", "null", "\"1\"", "[1]"}) {
    ExpectHeaderRefused("{" + Entry("a", "U8", size, "0,1") + "}", 1, "expected");
  }
  ExpectHeaderRefused("{" + Entry("a", "U8", "1", "0,1,2") + "}", 1, "expected");
  ExpectHeaderRefused("{" + Entry("a", "U8", "1,1,1,1,1,1,1,1,1", "0,1") + "}", 1, "dimensions");
  ExpectHeaderRefused("{" + Entry("a", "U8", "1", "0,1") + "," + Entry("a", "U8", "1", "1,2") + "}", 2, "twice");
  ExpectHeaderRefused("{" + Entry("a", "U8", "1", "0,1") + "," + Entry("\\u0061", "U8", "1", "1,2") + "}", 2, "twice");
  ExpectHeaderRefused("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "twice");
  ExpectHeaderRefused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"offsets\":[0,1]}}", 1, "data_offsets");
  ExpectHeaderRefused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "found fewer");
  ExpectHeaderRefused("{\"a\":[]}", 0, "expected");
  ExpectHeaderRefused("{\"__metadata__\":{\"a\":1}}", 0, "expected");
  ExpectHeaderRefused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice");
  for (const char* name : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x01", "\\ud800",
                           "\\ud800\\u0041", "\\x"}) {
    ExpectHeaderRefused("{" + Entry(name, "U8", "1", "0,1") + "}", 1, "expected");
  }
  ExpectHeaderRefused("{" + Entry("", "U8", "1", "0,1") + "}", 1, "empty name");
  ExpectHeaderRefused("{} {}", 0, "nothing more");
}

TEST(Safetensors, B43_MillionTinyTensorsStopAtTheModelsCap) {
  std::string header = "{\"__metadata__\":{}";
  for (int i = 0; i < 1000000; ++i)
    header += ",\"" + std::to_string(i) + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
  header += "}";
  ExpectFileRefused(Prefix(header.size()) + header, "for this model");
  const auto tensors = ParseSafetensorsHeader(header, 0, {.tensors_max = 1000});
  EXPECT_THAT(std::string(tensors.status().message()), HasSubstr("at most 1000 tensors"));
}

TEST(Safetensors, B43_HundredMegabyteHeaderStopsAtTheModelsCap) {
  ExpectFileRefused(Prefix(100'000'000) + "{" + std::string(99'999'999, ' '), "for this model");
}

TEST(Safetensors, B43_DeepMetadataIsRefused) {
  ExpectHeaderRefused("{\"__metadata__\":{\"a\":" + std::string(1000000, '['), 0, "expected");
  ExpectHeaderRefused("{\"__metadata__\":" + std::string(1000000, '{'), 0, "expected");
  ExpectHeaderRefused("{\"a\":{\"shape\":" + std::string(1000000, '['), 0, "expected");
}

TEST(SafetensorsIndex, ReadsAndRefuses) {
  const auto index = ParseSafetensorsIndex(
      R"({"metadata":{"total_size":1.5e3,"x":[{}]},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})", 10);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ((*index)[1].file, "m-2.safetensors");
  EXPECT_FALSE(ParseSafetensorsIndex(R"({"weight_map":{}})", 10).ok());
  EXPECT_FALSE(ParseSafetensorsIndex(R"({"weight_map":{"a":"m.safetensors","a":"m.safetensors"}})", 10).ok());
  EXPECT_FALSE(ParseSafetensorsIndex(R"({"weight_map":{"a":"m.safetensors","b":"m.safetensors"}})", 1).ok());
  EXPECT_FALSE(ParseSafetensorsIndex("{\"metadata\":" + std::string(1000000, '['), 10).ok());
}

}  // namespace
}  // namespace atoll::model
