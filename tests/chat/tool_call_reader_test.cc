#include "model/chat/tool_call_reader.h"

#include <gtest/gtest.h>

namespace atoll::model {
namespace {

struct Read {
  std::string content;
  std::vector<std::pair<std::string, std::string>> calls;  // name, arguments

  friend bool operator==(const Read&, const Read&) = default;
};

void PrintTo(const Read& read, std::ostream* out) {
  *out << "content \"" << read.content << "\"";
  for (const auto& [name, arguments] : read.calls) *out << " call " << name << "(" << arguments << ")";
}

Read ReadPieces(ToolCallStyle style, const std::vector<std::string>& pieces) {
  ToolCallReader reader(style);
  Read read;
  ToolCallText out;
  for (const std::string& piece : pieces) reader.Append(piece, out);
  reader.Flush(out);
  read.content = out.content;
  for (const ToolCallPiece& piece : out.calls) {
    if (!piece.name.empty()) read.calls.emplace_back(piece.name, "");
    EXPECT_EQ(static_cast<size_t>(piece.index + 1), read.calls.size());
    if (!read.calls.empty()) read.calls.back().second += piece.arguments;
  }
  EXPECT_EQ(static_cast<size_t>(reader.calls()), read.calls.size());
  return read;
}

// The same however the text is cut in two, and byte by byte.
Read ReadAnyhow(ToolCallStyle style, const std::string& text) {
  const Read whole = ReadPieces(style, {text});
  std::vector<std::string> bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  EXPECT_EQ(ReadPieces(style, bytes), whole);
  for (size_t cut = 1; cut < text.size(); ++cut) EXPECT_EQ(ReadPieces(style, {text.substr(0, cut), text.substr(cut)}), whole) << cut;
  return whole;
}

constexpr ToolCallStyle kV3 = ToolCallStyle::kDeepSeekV3, kV31 = ToolCallStyle::kDeepSeekV31;

TEST(ToolCallReader, ReadsTheFormOfV31) {
  EXPECT_EQ(ReadAnyhow(kV31, "I look. <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜><｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜>"
                              "<｜tool▁calls▁end｜>"),
            (Read{"I look. ", {{"f", "{\"a\": 1}"}, {"g", "{}"}}}));
}

TEST(ToolCallReader, ReadsTheFormOfV3) {
  EXPECT_EQ(ReadAnyhow(kV3, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": \"x\\n```\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function"
                             "<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
            (Read{"", {{"f", "{\"a\": \"x\\n```\"}"}, {"g", "{}"}}}));
}

TEST(ToolCallReader, ACutCallHasWhatCame) {
  EXPECT_EQ(ReadAnyhow(kV31, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\":"), (Read{"", {{"f", "{\"a\":"}}}));
  EXPECT_EQ(ReadAnyhow(kV3, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```"), (Read{"", {{"f", "{}"}}}));
  EXPECT_EQ(ReadAnyhow(kV31, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜>"), (Read{"", {{"f", "{}"}}}));
}

TEST(ToolCallReader, WhatIsNoCallIsContent) {
  for (const std::string text : {"plain text", "a < b <｜tool", "<｜tool▁calls▁begin｜>no call", "x<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f and no more", "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}"}) {
    EXPECT_EQ(ReadAnyhow(kV31, text), (Read{text, {}}));
  }
}

TEST(ToolCallReader, DoesNotHoldANameWithoutEnd) {
  const std::string text = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>" + std::string(5000, 'f');
  ToolCallReader reader(kV31);
  ToolCallText out;
  reader.Append(text, out);
  EXPECT_EQ(out.content, text);
}

TEST(ToolCallReader, ArgumentsComeAsTheyAreWritten) {
  ToolCallReader reader(kV31);
  ToolCallText out;
  reader.Append("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>", out);
  ASSERT_EQ(out.calls.size(), 1u);
  EXPECT_EQ(out.calls[0].name, "f");
  ToolCallText more;
  reader.Append("{\"a\"", more);
  ASSERT_EQ(more.calls.size(), 1u);
  EXPECT_EQ(more.calls[0].arguments, "{\"a\"");
  EXPECT_EQ(more.calls[0].name, "");
}

}  // namespace
}  // namespace atoll::model
