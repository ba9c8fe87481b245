#pragma once

// Schemas that tests share.

namespace atoll::model::grammar {

inline constexpr const char* kSchemas[] = {
    R"({"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":130},"tags":{"type":"array","items":{"type":"string","maxLength":5},"minItems":1,"maxItems":3}},"required":["name","tags"],"additionalProperties":false})",
    R"({"type":"object","properties":{"kind":{"enum":["a","ab","abc","\"q\"",1,12,null,true,{"x":[1]}]},"n":{"type":["integer","null"]}},"required":["kind"]})",
    R"({"type":"array","items":{"anyOf":[{"type":"string","minLength":2,"maxLength":6},{"type":"number","minimum":0},{"type":"boolean"},{"type":"object","properties":{"a":{"const":"x"}},"required":["a"]}]},"minItems":2,"maxItems":4})",
    R"({"$defs":{"tree":{"type":"object","properties":{"value":{"type":"integer","minimum":-5,"maximum":17},"children":{"type":"array","items":{"$ref":"#/$defs/tree"},"maxItems":2}},"required":["value"],"additionalProperties":false}},"$ref":"#/$defs/tree"})",
    R"({"type":"object","properties":{"ab":{"type":"boolean"},"abc":{"type":"integer","minimum":100,"maximum":999},"b\n":{"type":"null"}},"required":["abc"],"additionalProperties":{"type":"string","maxLength":3}})",
    R"({"oneOf":[{"type":"object","properties":{"shape":{"const":"circle"},"r":{"type":"integer"}},"required":["shape","r"],"additionalProperties":false},{"type":"object","properties":{"shape":{"const":"box"},"w":{"type":"number","minimum":0},"h":{"type":"number","minimum":0}},"required":["shape","w","h"],"additionalProperties":false}]})",
    R"({"type":"object","properties":{"maybe":{"type":"string","maxLength":4,"nullable":true},"deep":{"type":"object","properties":{"deeper":{"type":"array","items":{"type":"array","items":{"type":"integer","exclusiveMinimum":-3,"exclusiveMaximum":3},"maxItems":2},"maxItems":2}},"required":["deeper"]}},"required":["maybe","deep"]})",
    R"({"type":"integer","minimum":-120,"maximum":-7})",
    R"({"type":"string","minLength":1,"maxLength":40})",
    R"({"type":"object","additionalProperties":{"type":"integer","minimum":0,"maximum":9}})",
    R"({"type":"array","items":{}, "minItems":1, "maxItems":3})",
};

}  // namespace atoll::model::grammar
