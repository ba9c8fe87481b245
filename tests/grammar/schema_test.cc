// What is refused, and by which name.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/grammar/grammar.h"
#include "tests/grammar/written_document.h"

namespace atoll::model::grammar {
namespace {

using testing::HasSubstr;

absl::Status Refused(const std::string& schema) { return Grammar::Compile({.kind = JsonSchema{schema}}, SmallVocabulary().control_tokens()).status(); }

struct Case {
  const char* schema;
  const char* said;
};

TEST(Schema, WhatIsNotSupportedIsNamedWithItsPlace) {
  const Case cases[] = {
      {R"({"type":"string","pattern":"a+"})", "$: the keyword \"pattern\" is not supported"},
      {R"({"type":"string","format":"date"})", "\"format\""},
      {R"({"type":"object","properties":{"a":{"type":"array","items":{"not":{}}}}})", "$.properties.a.items: the keyword \"not\""},
      {R"({"type":"object","patternProperties":{}})", "\"patternProperties\""},
      {R"({"type":"array","uniqueItems":true})", "uniqueItems"},
      {R"({"type":"array","prefixItems":[]})", "\"prefixItems\""},
      {R"({"type":"number","maximum":3})", "maximum of a number"},
      {R"({"type":"number","minimum":1})", "minimum of a number"},
      {R"({"type":"integer","multipleOf":5})", "multipleOf"},
      {R"({"allOf":[{},{}]})", "allOf of more than one"},
      {R"({"anyOf":[{}],"type":"object"})", "\"type\""},
      {R"({"$ref":"other.json#/a"})", "only references into the schema itself"},
      {R"({"$ref":"#/$defs/a","minLength":1,"$defs":{"a":{}}})", "\"minLength\""},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "oneOf: a value may satisfy both alternative 0 and 1"},
      {R"({"oneOf":[{"type":"object","properties":{"a":{}}},{"type":"object"}]})", "oneOf"},
      {R"({"enum":[1],"const":1})", "enum beside const"},
      {"false", "the schema false"},
      {R"({"type":"object","if":{}})", "\"if\""},
      {R"({"type":"object","properties":{"a":false}})", "$.properties.a: the schema false"},
  };
  for (const Case& one : cases) {
    const absl::Status status = Refused(one.schema);
    EXPECT_TRUE(absl::IsUnimplemented(status)) << one.schema << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(one.said)) << one.schema;
  }
}

TEST(Schema, WhatIsNoSchemaIsWrong) {
  const Case cases[] = {
      {"", "expected JSON"},
      {"{", "expected JSON"},
      {"{} x", "expected JSON"},
      {R"({"a":1,"a":2})", "two members of one name"},
      {"3", "expected a schema, found a number"},
      {R"({"type":"text"})", "type: expected object"},
      {R"({"type":3})", "type: expected a name"},
      {R"({"type":"string","minLength":-1})", "minLength: expected a whole number"},
      {R"({"type":"string","minLength":1.5})", "minLength"},
      {R"({"type":"string","minLength":"1"})", "minLength: expected a number, found a string"},
      {R"({"type":"string","minLength":3,"maxLength":2})", "minLength is 3, more than maxLength"},
      {R"({"type":"integer","minimum":4,"maximum":3})", "no integer"},
      {R"({"enum":[]})", "no value is left"},
      {R"({"type":"string","enum":[1]})", "no value is left"},
      {R"({"anyOf":[]})", "anyOf: expected a list"},
      {R"({"$ref":"#/$defs/none"})", "has no such place"},
      {R"({"required":["a"],"additionalProperties":false})", "is no property"},
      {R"({"required":"a"})", "required: expected a list"},
      {R"({"properties":[]})", "properties: expected an object"},
      {R"({"$ref":"#"})", "refers to itself"},
      {R"({"anyOf":[{"$ref":"#"},{"type":"null"}]})", "refers to itself"},
      {R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", "has no document"},
      {R"({"type":"array","items":{"$ref":"#"},"minItems":1})", "has no document"},
  };
  for (const Case& one : cases) {
    const absl::Status status = Refused(one.schema);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << one.schema << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(one.said)) << one.schema;
  }
}

TEST(Schema, OneOfIsTakenWhereItsAlternativesExcludeEachOther) {
  for (const char* schema : {
           R"({"oneOf":[{"type":"integer"},{"type":"string"},{"type":"null"}]})",
           R"({"oneOf":[{"const":"a"},{"enum":["b","c"]}]})",
           R"({"oneOf":[{"properties":{"k":{"const":"a"}},"required":["k"]},{"properties":{"x":{},"k":{"enum":["b"]}},"required":["k"]}],"discriminator":{"propertyName":"k"}})",
           R"({"oneOf":[{"const":true},{"type":"array"},{"type":"object"}]})",
       }) {
    EXPECT_TRUE(Refused(schema).ok()) << Refused(schema);
  }
  EXPECT_FALSE(Refused(R"({"oneOf":[{"const":1},{"const":1.0}]})").ok());
  EXPECT_FALSE(Refused(R"({"oneOf":[{"properties":{"k":{"const":"a"}}},{"properties":{"k":{"const":"b"}},"required":["k"]}]})").ok());
}

TEST(Schema, WhatSpeaksToPeopleIsPassedOver) {
  EXPECT_TRUE(Refused(R"({"$schema":"s","$id":"i","title":"t","description":"d","type":"string","default":3,"examples":[1],"deprecated":true})").ok());
}

}  // namespace
}  // namespace atoll::model::grammar
