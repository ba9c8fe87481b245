#pragma once

// JSON written piece by piece: what is said for every token costs no tree.

#include <cstdint>
#include <string>
#include <string_view>

namespace atoll::router::http {

// With its quotes. Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

// The shortest digits that read back as the same float; a logarithm of nothing, which JSON has no word for, is -9999.
void AppendJsonFloat(float value, std::string& out);

void AppendJsonInt(int64_t value, std::string& out);

}  // namespace atoll::router::http
