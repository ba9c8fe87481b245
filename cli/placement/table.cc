#include "cli/placement/table.h"

#include <algorithm>
#include <iostream>

#include "absl/strings/str_format.h"

namespace atoll::cli {

void PrintTable(const Table& table) {
  std::vector<size_t> width;
  for (const auto& row : table) {
    width.resize(std::max(width.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  }
  for (const auto& row : table) {
    for (size_t c = 0; c < row.size(); ++c) std::cout << row[c] << (c + 1 < row.size() ? std::string(width[c] - row[c].size() + 2, ' ') : "\n");
  }
}

std::string Megabytes(uint64_t bytes) { return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6); }

}  // namespace atoll::cli
