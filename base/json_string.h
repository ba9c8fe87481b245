#pragma once

// A string as JSON writes it.

#include <string>
#include <string_view>

namespace atoll {

// With its quotes. Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace atoll
