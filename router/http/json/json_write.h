#pragma once

// JSON written piece by piece: what is said for every token costs no tree.

#include <cstdint>
#include <string>

#include "base/json_string.h"

namespace atoll::router::http {

// The shortest digits that read back as the same float; a logarithm of nothing, which JSON has no word for, is -9999.
void AppendJsonFloat(float value, std::string& out);

void AppendJsonInt(int64_t value, std::string& out);

}  // namespace atoll::router::http
