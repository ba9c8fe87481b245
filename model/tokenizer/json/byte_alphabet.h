#pragma once

// The spelling of raw bytes as printable characters in tokenizer.json: 0x21-7E, A1-AC and AE-FF stand for themselves, the
// other 68 bytes, ascending, are U+0100, U+0101, …

#include <optional>
#include <string>
#include <string_view>

namespace atoll::model {

// nullopt where a character of `spelled`, which is UTF-8, is none of the 256.
std::optional<std::string> BytesOfSpelling(std::string_view spelled);

}  // namespace atoll::model
