#pragma once

// Columns of text on standard output.

#include <cstdint>
#include <string>
#include <vector>

namespace atoll::cli {

using Table = std::vector<std::vector<std::string>>;  // rows; the first one is the headline

void PrintTable(const Table& table);
std::string Megabytes(uint64_t bytes);  // "12.3 MB"

}  // namespace atoll::cli
