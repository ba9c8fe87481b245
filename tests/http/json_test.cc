#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "router/http/json/json_fields.h"
#include "router/http/json/json_write.h"

namespace atoll::router::http {
namespace {

absl::Status Parse(const std::string& text) {
  Json value;
  return ParseJson(text, value);
}

TEST(JsonParseTest, BuildsWhatTheTextSays) {
  const std::string text = R"({"a":[1,-2,3.5,true,false,null,"x\ny"],"b":{"c":{},"d":[]},"e":18446744073709551615})";
  Json value;
  ASSERT_TRUE(ParseJson(text, value).ok());
  EXPECT_EQ(value, Json::parse(text));
}

TEST(JsonParseTest, RefusesWhatIsNotJson) {
  for (const char* text : {"", " ", "{", "{\"a\":}", "{\"a\":1,}", "[1 2]", "NaN", "[NaN]", "[Infinity]", "[-]", "[01]", "{\"a\":1}x", "{a:1}",
                           "[1e999]", "[\"\\ud800\"]", "[\"\\ud800\\u0041\"]", "[\"\xFF\"]", "[\"\xED\xA0\x80\"]", "[\"a\nb\"]", "nul"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Parse(text))) << text;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Parse(std::string("[1]\0", 4))));
}

TEST(JsonParseTest, RefusesDepthMembersAndDuplicates) {
  EXPECT_TRUE(Parse(std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']')).ok());
  EXPECT_FALSE(Parse(std::string(kJsonDepthMax + 1, '[') + std::string(kJsonDepthMax + 1, ']')).ok());
  EXPECT_FALSE(Parse(std::string(100000, '[')).ok());
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "{\"a\":";
  EXPECT_FALSE(Parse(nested).ok());
  std::string members = "{";
  for (int i = 0; i < 1000000; ++i) absl::StrAppend(&members, i > 0 ? "," : "", "\"", i, "\":0");
  EXPECT_FALSE(Parse(members + "}").ok());
  EXPECT_FALSE(Parse(R"({"a":1,"b":2,"a":3})").ok());
  EXPECT_TRUE(Parse(R"({"a":{"a":1},"b":{"a":2}})").ok());
}

TEST(JsonParseTest, RepeatsNothingOfTheText) {
  EXPECT_EQ(std::string(Parse("{\"secret\": hunter2}").message()).find("hunter"), std::string::npos);
}

TEST(JsonFieldsTest, ReadsByTypeAndNamesWhatIsWrong) {
  const Json body = Json::parse(R"({"b":true,"i":7,"whole":2.0,"f":0.5,"s":"x","nothing":null,"ids":[1,2],"big":18446744073709551615,"o":{"x":1}})");
  JsonFields fields(body, "");
  EXPECT_EQ(fields.Bool("b"), true);
  EXPECT_EQ(fields.Int("i"), 7);
  EXPECT_EQ(fields.Int("whole"), 2);
  EXPECT_EQ(fields.Float("f"), 0.5F);
  EXPECT_EQ(fields.Float("i"), 7.0F);
  EXPECT_EQ(fields.Text("s"), "x");
  EXPECT_EQ(fields.Text("nothing"), std::nullopt);
  EXPECT_EQ(fields.Text("absent"), std::nullopt);
  EXPECT_EQ(fields.TokenIds("ids"), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(fields.Bits("big"), UINT64_MAX);
  EXPECT_TRUE(fields.status().ok());
  EXPECT_EQ(fields.Unknown(), std::vector<std::string>{"o"});
  EXPECT_EQ(fields.Int("big"), std::nullopt);
  EXPECT_EQ(fields.status().message(), "big: expected an integer, found a number");
}

TEST(JsonFieldsTest, KeepsTheFirstErrorWithItsPath) {
  const Json body = Json::parse(R"({"a":"x","f":1.5})");
  JsonFields fields(body, "outer[3]");
  EXPECT_EQ(fields.Int("f"), std::nullopt);
  EXPECT_EQ(fields.Int("a"), std::nullopt);
  EXPECT_EQ(fields.status().message(), "outer[3].f: expected an integer, found a fractional number");
  const Json list = Json::array();
  EXPECT_EQ(JsonFields(list, "").status().message(), "body: expected an object, found an array");
  EXPECT_EQ(ReadTokenIds(Json::parse("[1,99999999999]"), "p").status().message(), "p[1]: expected a token id, found a number");
  EXPECT_EQ(ReadTokenIds(Json::parse("[1.0]"), "p").status().message(), "p[0]: expected a token id, found a fractional number");
}

std::string Written(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

TEST(JsonWriteTest, EscapesAndReplaces) {
  EXPECT_EQ(Written("a\"\\\n\r\t\x01\x7F/é中"), "\"a\\\"\\\\\\n\\r\\t\\u0001\x7F/é中\"");
  EXPECT_EQ(Written("x\xFFy\xE4\xB8"), "\"x\xEF\xBF\xBDy\xEF\xBF\xBD\"");
  for (int c = 0; c < 256; ++c) {
    const std::string text = std::string("ab") + static_cast<char>(c) + "cd";
    EXPECT_TRUE(Json::accept(Written(text))) << c;
    if (c < 128) {
      EXPECT_EQ(Json::parse(Written(text)).get<std::string>(), text) << c;
    }
  }
}

TEST(JsonWriteTest, AFloatComesBackWithAllItsBits) {
  for (const float value : {0.0F, -0.1F, -12.345678F, 1e-30F, -3.4e38F, std::numeric_limits<float>::denorm_min()}) {
    std::string out;
    AppendJsonFloat(value, out);
    EXPECT_EQ(static_cast<float>(Json::parse(out).get<double>()), value) << out;
  }
  std::string out;
  AppendJsonFloat(-INFINITY, out);
  EXPECT_EQ(out, "-9999");
}

}  // namespace
}  // namespace atoll::router::http
